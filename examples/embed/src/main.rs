//! Serves on http://127.0.0.1:3000 until Ctrl-C.

use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let stop = CancellationToken::new();
    let service = embed::service(stop.clone()).await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("the Agent Server API is on http://127.0.0.1:3000/agents; its graph is called \"greeter\"");
    axum::serve(listener, service)
        .with_graceful_shutdown(async { tokio::signal::ctrl_c().await.unwrap_or(()) })
        .await?;
    stop.cancel();
    Ok(())
}
