//! Several deployments on one platform, each with its own runners.

use serde_json::{Value, json};

use crate::platform::{Client, Platform};
use crate::program::until;

async fn status(client: &Client, path: &str) -> u16 {
    client.post(path, json!({})).await.map_or_else(|status| status, |_| 200)
}

#[tokio::test]
async fn deployments_share_a_platform_and_see_nothing_of_each_other() {
    let platform = Platform::new().await;
    // The runners of each deployment have their own token and a URL that names the deployment.
    let of = |deployment, token| ["--deployment", deployment, "--token", token];
    let (prod, test) = (of("acme/web/prod", "token of prod"), of("acme/web/test", "token of test"));
    let ((runner, a), (other_runner, b)) = tokio::join!(platform.runner(&prod), platform.runner(&test));
    let (a, b) = (format!("acme/web/prod=tcp://{a}"), format!("acme/web/test=tcp://{b}"));
    let runners = [a.as_str(), b.as_str()];
    let tokens = ["--runner-tokens", "acme/web/prod=token of prod,acme/web/test=token of test"];
    let worker = platform.worker(&runners, &tokens).await;
    let ((server, here), (other_server, there)) =
        tokio::join!(platform.api_with(&runners, &tokens), platform.api_with(&runners, &tokens));

    for deployment in ["acme/web/prod", "acme/web/test"] {
        platform.langopen(&["deployments", "set", deployment]).await;
    }
    let create = ["keys", "create", "--json", "--name", "ci", "--role", "developer", "--scope"];
    let key = async |scope: &'static str| -> (String, String) {
        let made: Value = serde_json::from_str(&platform.langopen(&[&create[..], &[scope]].concat()).await).unwrap();
        (made["key_id"].as_str().unwrap().to_owned(), made["key"].as_str().unwrap().to_owned())
    };
    let ((project_id, project), (_, own)) = (key("acme/web/*").await, key("acme/web/test").await);

    let body = json!({"assistant_id": "counter", "input": {"log": ["begun"]}});
    for client in [&here, &there] {
        // Each server detects the new keys by itself.
        until(async || (status(client, "/d/acme.web.prod/threads/search").await == 401).then_some(())).await;
        for client in [client.at("/d/prod", &project), client.at("/d/test", &project), client.at("", &own)] {
            until(async || (status(&client, "/threads/search").await == 200).then_some(())).await;
            assert_eq!(client.post("/runs/wait", body.clone()).await.unwrap()["log"], json!(["begun", "counted"]));
        }
        assert_eq!(status(&client.at("/d/prod", &own), "/threads/search").await, 403);
        assert_eq!(status(&client.at("", &project), "/threads/search").await, 400);
        assert_eq!(status(&client.at("/d/nothing", &project), "/threads/search").await, 404);
    }
    let thread = here.at("/d/prod", &project).post("/threads", json!({})).await.unwrap();
    let thread = format!("/threads/{}", thread["thread_id"].as_str().unwrap());
    assert!(there.at("/d/prod", &project).get(&thread).await.is_ok());
    assert_eq!(there.at("/d/test", &project).get(&thread).await.err(), Some(404));

    platform.langopen(&["deployments", "set", "acme/web/prod", "--max-runs-in-flight", "0"]).await;
    let prod = here.at("/d/prod", &project);
    assert_eq!(prod.post("/runs/wait", body.clone()).await.err(), Some(429), "at once, on every server");
    assert!(here.at("/d/test", &project).post("/runs/wait", body).await.is_ok());

    platform.langopen(&["keys", "revoke", &project_id]).await;
    for client in [&here, &there] {
        let client = client.at("/d/prod", &project);
        until(async || (status(&client, "/threads/search").await == 401).then_some(())).await;
    }
    drop((server, other_server, worker, runner, other_runner));
    platform.remove().await;
}
