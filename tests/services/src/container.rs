//! Starts services in containers.

use std::process::Stdio;

use testcontainers::core::wait::LogWaitStrategy;
use testcontainers::core::{IntoContainerPort, WaitFor};
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, ContainerRequest, GenericImage, ImageExt};
use tokio::process::Command;

use crate::error::{Error, Result};
use crate::guard;

/// Whether a Docker daemon answers.
pub(crate) async fn available() -> bool {
    let mut ask = Command::new("docker");
    ask.args(["version", "--format", "{{.Server.Version}}"]).stdin(Stdio::null()).stdout(Stdio::null());
    ask.stderr(Stdio::null()).status().await.is_ok_and(|status| status.success())
}

pub(crate) async fn postgres() -> Result<String> {
    // Postgres starts once for its setup, stops, and starts again. The message appears twice.
    let ready = LogWaitStrategy::stderr("database system is ready to accept connections").with_times(2);
    let image = GenericImage::new("postgres", "17-alpine")
        .with_exposed_port(5432.tcp())
        .with_wait_for(WaitFor::log(ready))
        .with_env_var("POSTGRES_HOST_AUTH_METHOD", "trust")
        .with_cmd(["postgres", "-c", "fsync=off", "-c", "max_connections=300"]);
    let address = start("Postgres", image, 5432).await?;
    Ok(format!("postgres://postgres@{address}/postgres"))
}

pub(crate) async fn redis() -> Result<String> {
    let image = GenericImage::new("redis", "8-alpine")
        .with_exposed_port(6379.tcp())
        .with_wait_for(WaitFor::message_on_stdout("Ready to accept connections"));
    Ok(format!("redis://{}", start("Redis", image.into(), 6379).await?))
}

async fn start(service: &'static str, image: ContainerRequest<GenericImage>, port: u16) -> Result<String> {
    let failed = |source| Error::Container { service, source };
    let container = image.start().await.map_err(failed)?;
    guard::at_end(r#"docker rm --force --volumes "$1""#, &[container.id()])?;
    let host = container.get_host().await.map_err(failed)?;
    let port = container.get_host_port_ipv4(port).await.map_err(failed)?;
    keep(container);
    Ok(format!("{host}:{port}"))
}

/// Keeps a container longer than the runtime of the test that started it. The guard removes it.
fn keep(container: ContainerAsync<GenericImage>) {
    std::mem::forget(container);
}
