//! Exchanges that the runner begins: requests for the application's web app.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use http::Response;
use langopen_core::{Error, Result};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::body::{self, Incoming, Load};
use super::exchange::{Exchange, MAX_EXCHANGES, WINDOW, give_up};
use super::head::ToApp;
use super::{WebApi, WebBody, WebCall};
use crate::frame::{Frame, Kind};
use crate::host::Host;

/// Gives up an exchange when its caller stops waiting.
struct Pending<'a> {
    host: &'a Arc<Host>,
    id: u32,
    answered: bool,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if !self.answered {
            give_up(self.host, self.id);
        }
    }
}

impl Host {
    /// Sends a request to the web app, which may call `api` meanwhile.
    pub(crate) async fn web(self: &Arc<Self>, call: WebCall, api: Arc<dyn WebApi>) -> Result<Response<WebBody>> {
        let gone = || Error::unavailable("host.web", "the graph host died before it answered; try again");
        let head = serde_json::to_vec(&ToApp::new(&call))
            .map_err(|error| Error::internal("host.web", "the request cannot be encoded as JSON").with_source(error))?;
        let id = self.next_handle()?;
        let (waiting, answered) = oneshot::channel();
        let (parts, received) = mpsc::unbounded_channel();
        let window = Arc::new(AtomicI64::new(WINDOW as i64));
        let (credit, stop) = (Arc::new(Semaphore::new(WINDOW)), CancellationToken::new());
        let exchange = Exchange {
            head: Some(waiting),
            parts,
            window: Arc::clone(&window),
            credit: Arc::clone(&credit),
            api: Some(api),
            tenant: call.tenant.clone(),
            stop: stop.clone(),
        };
        {
            let mut exchanges = self.exchanges.lock();
            if exchanges.len() >= MAX_EXCHANGES {
                return Err(Error::unavailable("host.web", "the application has too many requests in flight"));
            }
            exchanges.insert(id, exchange);
        }
        let mut pending = Pending { host: self, id, answered: false };
        let load = Load::new(self);
        if !self.send(Frame::new(Kind::HttpRequest, id, head)) {
            return Err(gone());
        }
        if call.has_body {
            let (host, body) = (Arc::clone(self), call.request.into_body());
            tokio::spawn(async move {
                tokio::select! {
                    () = body::send(&host, id, &credit, body) => {}
                    () = stop.cancelled() => {}
                }
            });
        }
        let head = answered.await.map_err(|_| gone())?;
        pending.answered = true;
        let body = Incoming {
            host: Arc::clone(self),
            id,
            parts: received,
            window,
            lazy: false,
            last: true,
            unpaid: 0,
            over: false,
            _held: Some(load),
        };
        head.into_response(body.into_body())
    }
}
