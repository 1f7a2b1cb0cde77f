//! Bundles of the application's components, which graph hosts hold, as [`UserInterfaces`].

use std::sync::Arc;

use async_trait::async_trait;
use langopen_core::user_interface::{Bundle, UserInterfaces};
use langopen_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::{HostPool, Need, Work};
use crate::frame::payload::UiOffer;

#[derive(Serialize)]
#[serde(tag = "method", content = "params")]
enum Question<'a> {
    #[serde(rename = "ui.files")]
    Files { name: &'a str },
}

#[derive(Deserialize)]
struct Files {
    hash: String,
    global: String,
    script: Option<String>,
    style: Option<String>,
}

/// Requests each bundle from a host once per content.
#[async_trait]
impl UserInterfaces for HostPool {
    async fn bundle(&self, name: &str) -> Result<Arc<Bundle>> {
        let offer = self.source.offer();
        let hash = match offer.ui.get(name) {
            None => return Err(Error::not_found("pool.ui", format!("there is no user interface {name:?}"))),
            Some(UiOffer { error: Some(error), .. }) => {
                return Err(Error::new(ErrorKind::Graph, "pool.ui", error.clone()));
            }
            Some(UiOffer { hash, .. }) => hash.as_deref(),
        };
        if let Some(bundle) = self.bundles.lock().get(name).filter(|held| Some(held.hash.as_str()) == hash) {
            return Ok(Arc::clone(bundle));
        }
        let host = self.choose(Work::Question, Need::Ui).await?;
        let Files { hash, global, script, style } = host.ask_app(&Question::Files { name }).await?;
        let bundle =
            Arc::new(Bundle { hash, global, script: script.unwrap_or_default().into(), style: style.map(Into::into) });
        self.bundles.lock().insert(name.to_owned(), Arc::clone(&bundle));
        Ok(bundle)
    }
}
