//! Serves on http://127.0.0.1:3000 until Ctrl-C, and prints a token for an hour.

use auth::{Claims, Signer};
use langopen_core::{Clock, SystemClock};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let secret = std::env::var("TOKEN_SECRET").map_err(|_| "set TOKEN_SECRET to 32 random bytes")?;
    let signer = Signer::new(secret.as_bytes())?;
    let expires_at = SystemClock.now().as_millis() + 3_600_000;
    let token = signer.sign(&Claims { user: "ada".to_owned(), admin: false, expires_at })?;
    let stop = CancellationToken::new();
    let service = auth::service(signer, stop.clone()).await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("try: curl -H 'authorization: Bearer {token}' http://127.0.0.1:3000/me");
    axum::serve(listener, service)
        .with_graceful_shutdown(async { tokio::signal::ctrl_c().await.unwrap_or(()) })
        .await?;
    stop.cancel();
    Ok(())
}
