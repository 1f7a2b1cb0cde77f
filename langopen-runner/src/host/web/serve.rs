//! Exchanges that the host begins: requests for the API.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use futures::{StreamExt, stream};
use http::Request;
use langopen_core::{Error, Result, Tenant};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::body::{self, Incoming};
use super::exchange::{Exchange, HOSTS, MAX_EXCHANGES, WINDOW, abort, give_up};
use super::head::{FromApp, ResponseHead};
use super::{WebApi, WebBody};
use crate::frame::payload::from_json;
use crate::frame::{Frame, Kind};
use crate::host::Host;

/// A request of the host, with everything that serves it.
struct Served {
    head: FromApp,
    request: Request<()>,
    api: Arc<dyn WebApi>,
    body: Incoming,
    credit: Arc<Semaphore>,
    stop: CancellationToken,
}

/// Serves one HTTP_REQUEST frame in a task of its own.
pub(super) fn serve(host: &Arc<Host>, frame: Frame) {
    let id = frame.stream;
    match begin(host, id, &frame.payload) {
        Ok(served) => {
            let host = Arc::clone(host);
            tokio::spawn(async move {
                let stop = served.stop.clone();
                tokio::select! {
                    () = answer(&host, id, served) => { host.exchanges.lock().remove(&id); }
                    // The request that this one continued has ended; the host may not know yet.
                    () = stop.cancelled() => give_up(&host, id),
                }
            });
        }
        Err(error) => {
            warn!(host = host.number, %error, "cannot serve a request from a graph host");
            abort(host, id);
        }
    }
}

fn begin(host: &Arc<Host>, id: u32, payload: &[u8]) -> Result<Served> {
    let refused = |why: &str| Error::invalid("host.web", why.to_owned());
    let head: FromApp = from_json("host.web", payload)?;
    let mut request = head.request()?;
    let mut exchanges = host.exchanges.lock();
    if id < HOSTS || exchanges.contains_key(&id) {
        return Err(refused("the exchange's id is in use, or not in the host's range"));
    }
    if exchanges.len() >= MAX_EXCHANGES {
        return Err(refused("the application has too many requests in flight"));
    }
    let over = || refused("the request that this one goes on with is over");
    let (api, stop) = match head.parent {
        Some(parent) => {
            let parent = exchanges.get(&parent).filter(|_| parent < HOSTS).ok_or_else(over)?;
            (parent.api.clone().ok_or_else(over)?, parent.stop.child_token())
        }
        None => {
            let run = |run| host.runs.lock().get(&run).map(|run| run.reach.context.tenant().clone());
            let within = |exchange| exchanges.get(&exchange).and_then(|exchange| exchange.tenant.clone());
            let tenant = head.run.and_then(run).or_else(|| head.within.and_then(within));
            let tenant = tenant.unwrap_or_else(|| host.owner.tenant.clone());
            request.extensions_mut().insert::<Tenant>(tenant);
            let api = host.owner.api().ok_or_else(|| refused("the API is not served here"))?;
            (api, CancellationToken::new())
        }
    };
    let (parts, received) = mpsc::unbounded_channel();
    // The host sends the body only once it is read, so an unread request can still be served elsewhere.
    let window = Arc::new(AtomicI64::new(0));
    let credit = Arc::new(Semaphore::new(WINDOW));
    let exchange = Exchange {
        head: None,
        parts,
        window: Arc::clone(&window),
        credit: Arc::clone(&credit),
        api: None,
        tenant: None,
        stop: stop.clone(),
    };
    exchanges.insert(id, exchange);
    let host = Arc::clone(host);
    let over = !head.body;
    let body = Incoming { host, id, parts: received, window, lazy: true, last: false, unpaid: 0, over, _held: None };
    Ok(Served { head, request, api, body, credit, stop })
}

async fn answer(host: &Arc<Host>, id: u32, served: Served) {
    let Served { head, request, api, body, credit, .. } = served;
    let (head, body): (ResponseHead, WebBody) = if head.authenticate {
        match api.authenticate(request).await {
            Ok(user) => (ResponseHead::known(user), stream::empty().boxed()),
            Err(response) => (ResponseHead::of(&response, false), response.into_body()),
        }
    } else {
        let answer = api.call(request.map(|()| body.into_body())).await;
        (ResponseHead::of(&answer.response, answer.unknown), answer.response.into_body())
    };
    let Ok(head) = serde_json::to_vec(&head) else {
        give_up(host, id);
        return;
    };
    // If the connection is closed, no response is needed.
    if host.send(Frame::new(Kind::HttpResponse, id, head)) {
        body::send(host, id, &credit, body).await;
    }
}
