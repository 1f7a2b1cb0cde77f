//! The rows of deployments.

use langopen_core::error::ErrorKind;
use langopen_core::model::{Deployment, DeploymentLimits, DeploymentSpec};

use super::Fixture;
use super::support::{SECOND, foreign, refused, scope};

fn at(hosts: &[&str]) -> DeploymentSpec {
    let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
    DeploymentSpec { hosts, limits: DeploymentLimits::default() }
}

/// A deployment's row is returned with all its fields until it is replaced or deleted.
pub async fn a_deployment_comes_back_whole(backend: &Fixture) {
    let (tenant, other) = (scope().tenant, foreign().tenant);
    assert_eq!(backend.deployments().deployment(&tenant).await.expect("read"), None);
    assert_eq!(backend.deployments().list_deployments().await.expect("list"), []);
    let limits = DeploymentLimits::default()
        .with_max_running_runs(Some(0))
        .with_max_runs_in_flight(Some(u32::MAX))
        .with_max_requests_per_second(Some(1));
    let spec = DeploymentSpec { limits, ..at(&["b.example", "A.Example", "a.example", "localhost"]) };
    let put = backend.deployments().put_deployment(&tenant, spec).await.expect("put");
    let hosts = ["a.example", "b.example", "localhost"].map(str::to_owned).to_vec();
    let created_at = backend.now();
    let expected = Deployment { tenant: tenant.clone(), hosts, limits, created_at, updated_at: created_at };
    assert_eq!(put, expected, "hosts are in lower case, once each");
    assert_eq!(backend.deployments().deployment(&tenant).await.expect("read"), Some(expected));
    backend.clock.advance(SECOND);
    let second = backend.deployments().put_deployment(&other, at(&[])).await.expect("put");
    let put = backend.deployments().put_deployment(&tenant, at(&["a.example"])).await.expect("put again");
    assert_eq!((put.created_at, put.updated_at), (created_at, backend.now()));
    assert_eq!((put.hosts.len(), put.limits), (1, DeploymentLimits::default()), "the whole row is replaced");
    assert_eq!(backend.deployments().list_deployments().await.expect("list"), [put, second.clone()], "in order");
    backend.deployments().delete_deployment(&tenant).await.expect("delete");
    refused(backend.deployments().delete_deployment(&tenant).await, ErrorKind::NotFound, "delete again");
    assert_eq!(backend.deployments().deployment(&tenant).await.expect("read"), None);
    assert_eq!(backend.deployments().list_deployments().await.expect("list"), [second], "the other one stays");
}

/// A host is a valid host name and belongs to one deployment. A refused call changes nothing.
pub async fn hosts_and_rates_are_checked(backend: &Fixture) {
    let (tenant, other) = (scope().tenant, foreign().tenant);
    let put = backend.deployments().put_deployment(&tenant, at(&["a.example"])).await.expect("put");
    refused(
        backend.deployments().put_deployment(&other, at(&["b.example", "A.example"])).await,
        ErrorKind::Conflict,
        "a taken host",
    );
    for host in ["", "a.example:80", "a..example", "http://a", "a/b", "a b", "ä.example", &"a".repeat(64), "*"] {
        refused(backend.deployments().put_deployment(&tenant, at(&[host])).await, ErrorKind::Invalid, host);
    }
    let limits = DeploymentLimits::default().with_max_requests_per_second(Some(0));
    let spec = DeploymentSpec { limits, ..at(&[]) };
    refused(backend.deployments().put_deployment(&tenant, spec).await, ErrorKind::Invalid, "a rate of 0");
    assert_eq!(backend.deployments().list_deployments().await.expect("list"), [put]);
    let puts = [&tenant, &other].map(|tenant| backend.deployments().put_deployment(tenant, at(&["c.example"])));
    let [one, two] = puts.map(|put| async { put.await.map_err(|error| error.kind()) });
    let (one, two) = futures::future::join(one, two).await;
    assert!(one.is_ok() ^ two.is_ok(), "exactly one of two concurrent calls succeeds");
    assert_eq!(one.err().or(two.err()), Some(ErrorKind::Conflict));
}
