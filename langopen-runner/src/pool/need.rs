//! Which hosts can do which work. The hosts of an application may be of several kinds.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use crate::frame::{Frame, Kind};
use crate::host::Offer;

/// Work for a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// A run. A draining host takes none.
    Run,
    /// A question, which a host answers soon.
    Question,
}

/// The part of the application that a host must have for the work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Need<'a> {
    /// Nothing in particular: any host can do the work.
    Nothing,
    /// A graph.
    Graph(Cow<'a, str>),
    /// The application's `Auth` object.
    Auth,
    /// The application's web app.
    WebApp,
    /// The application's embedding.
    Embedding,
    /// Bundles of components for browsers.
    Ui,
}

impl<'a> Need<'a> {
    pub(crate) fn graph(graph_id: &'a str) -> Self {
        Self::Graph(Cow::Borrowed(graph_id))
    }

    /// This need, or `Nothing` if no host of the application meets it: then any host can report that the part is
    /// missing.
    pub(crate) fn as_offered(&self, offer: &Offer) -> Self {
        if self.is_met_by(offer) { self.clone() } else { Self::Nothing }
    }

    pub(crate) fn is_met_by(&self, offer: &Offer) -> bool {
        match self {
            Self::Nothing => true,
            Self::Graph(graph_id) => offer.has_graph(graph_id),
            Self::Auth => offer.auth.is_some(),
            Self::WebApp => offer.http.is_some(),
            Self::Embedding => offer.embeds,
            Self::Ui => !offer.ui.is_empty(),
        }
    }

    /// Whether a host with these graphs meets the need of a run.
    pub(crate) fn is_met_by_graphs<T>(&self, graphs: &BTreeMap<String, T>) -> bool {
        match self {
            Self::Graph(graph_id) => graphs.contains_key(graph_id.as_ref()),
            _ => true,
        }
    }

    /// The need of a frame that begins a run, a call or an exchange.
    pub(crate) fn of(frame: &'a Frame) -> Self {
        match frame.kind {
            Kind::HttpRequest => Self::WebApp,
            Kind::Run | Kind::Suspect => {
                serde_json::from_slice::<Named<'_>>(&frame.payload).map_or(Self::Nothing, Named::need)
            }
            Kind::Call => serde_json::from_slice::<Call<'_>>(&frame.payload).map_or(Self::Nothing, Call::need),
            _ => Self::Nothing,
        }
    }
}

#[derive(Default, Deserialize)]
struct Named<'a> {
    #[serde(borrow, default)]
    graph_id: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow, default)]
    params: Named<'a>,
}

impl<'a> Named<'a> {
    fn need(self) -> Need<'a> {
        self.graph_id.map_or(Need::Nothing, Need::Graph)
    }
}

impl<'a> Call<'a> {
    fn need(self) -> Need<'a> {
        match self.method.split_once('.') {
            Some(("auth", _)) => Need::Auth,
            Some(("store", _)) => Need::Embedding,
            Some(("ui", _)) => Need::Ui,
            _ => self.params.need(),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use langopen_core::executor::GraphInfo;

    use super::*;

    fn frame(kind: Kind, payload: &'static str) -> Frame {
        Frame::new(kind, 1, Bytes::from_static(payload.as_bytes()))
    }

    #[test]
    fn frames_say_what_they_need() {
        let run = frame(Kind::Run, r#"{"run_id": "r", "kwargs": {"graph_id": "b"}, "graph_id": "a"}"#);
        assert_eq!(Need::of(&run), Need::graph("a"));
        let call = frame(Kind::Call, r#"{"method": "state.get", "params": {"graph_id": "a", "config": {}}}"#);
        assert_eq!(Need::of(&call), Need::graph("a"));
        let auth = frame(Kind::Call, r#"{"method": "auth.authorize", "params": {"graph_id": "a"}}"#);
        assert_eq!(Need::of(&auth), Need::Auth);
        let embed = frame(Kind::Call, r#"{"method": "store.embed_query", "params": {"query": "q"}}"#);
        assert_eq!(Need::of(&embed), Need::Embedding);
        let ui = frame(Kind::Call, r#"{"method": "ui.files", "params": {"name": "a"}}"#);
        assert_eq!(Need::of(&ui), Need::Ui);
        assert_eq!(Need::of(&frame(Kind::HttpRequest, "{}")), Need::WebApp);
        assert_eq!(Need::of(&frame(Kind::Run, "not JSON")), Need::Nothing);
    }

    #[test]
    fn what_nobody_has_is_asked_of_anybody() {
        let graph =
            |id: &str| GraphInfo { graph_id: id.to_owned(), name: id.to_owned(), description: None, config: None };
        let offer = Offer { graphs: vec![graph("a")], ..Offer::default() };
        assert_eq!(Need::graph("a").as_offered(&offer), Need::graph("a"));
        assert_eq!(Need::graph("b").as_offered(&offer), Need::Nothing);
        assert!(!Need::Auth.is_met_by(&offer) && Need::Nothing.is_met_by(&offer));
    }
}
