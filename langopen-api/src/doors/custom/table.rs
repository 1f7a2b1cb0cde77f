//! The paths at which the custom app may have routes.

use http::Method;
use regex::Regex;

use super::AppDescription;

/// The server's own paths, which no custom route can replace.
const RESERVED: [&str; 5] = ["/ok", "/info", "/metrics", "/docs", "/openapi.json"];

/// Whether a path is public.
pub(super) fn is_open(path: &str) -> bool {
    path == "/" || is_reserved(path) || path.starts_with("/docs/")
}

/// Whether no custom route can replace a path.
pub(super) fn is_reserved(path: &str) -> bool {
    RESERVED.contains(&path)
}

/// The app's possible routes.
pub(super) struct Table {
    routes: Vec<Route>,
    fallback: bool,
}

struct Route {
    /// `None` matches every path.
    pattern: Option<Regex>,
    methods: Option<Vec<Method>>,
    websocket: bool,
}

impl Route {
    fn is_at(&self, path: &str) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(path))
    }
}

impl Table {
    pub(super) fn new(description: &AppDescription) -> Self {
        let routes = description.routes.iter().map(|route| {
            let pattern = Regex::new(&route.pattern);
            if let Err(error) = &pattern {
                tracing::warn!(pattern = route.pattern, %error, "a route's pattern is not a valid regular expression; it matches every path");
            }
            let methods = route.methods.as_ref();
            let methods = methods.map(|methods| methods.iter().filter_map(|method| method.parse().ok()).collect());
            Route { pattern: pattern.ok(), methods, websocket: route.websocket }
        });
        Self { routes: routes.collect(), fallback: description.fallback }
    }

    /// Whether a custom route may answer before the API.
    pub(super) fn matches(&self, method: &Method, path: &str) -> bool {
        let fits =
            |route: &&Route| !route.websocket && route.methods.as_ref().is_none_or(|known| known.contains(method));
        !is_reserved(path) && self.routes.iter().filter(fits).any(|route| route.is_at(path))
    }

    /// Whether the app may answer a request if the API has no such path: with a route for another method, with or
    /// without a trailing slash, or with a catch-all route.
    pub(super) fn matches_fallback(&self, path: &str) -> bool {
        let toggled = path.strip_suffix('/').map_or_else(|| format!("{path}/"), str::to_owned);
        let near = |route: &Route| !route.websocket && (route.is_at(path) || route.is_at(&toggled));
        self.fallback || self.routes.iter().any(near)
    }

    /// Whether the app has a WebSocket route at this path.
    pub(super) fn has_websocket(&self, path: &str) -> bool {
        self.routes.iter().any(|route| route.websocket && route.is_at(path))
    }
}

#[cfg(test)]
mod tests {
    use super::super::AppRoute;
    use super::*;

    #[test]
    fn routes_are_found_by_path_and_method() {
        let route = |pattern: &str, methods: &[&str], websocket| AppRoute {
            pattern: pattern.to_owned(),
            methods: Some(methods.iter().map(|method| (*method).to_owned()).collect()),
            websocket,
        };
        let routes = vec![
            route("^/items/(?P<item_id>[^/]+)$", &["GET", "HEAD"], false),
            route("^/open/$", &["GET"], false),
            route("^/ok$", &["GET"], false),
            route("^/socket$", &[], true),
        ];
        let table = Table::new(&AppDescription { routes, ..AppDescription::default() });
        for (method, path, early, late) in [
            (Method::GET, "/items/é 1", true, true),
            (Method::POST, "/items/1", false, true),
            (Method::GET, "/items/1/more", false, false),
            (Method::GET, "/items/1/", false, true),
            (Method::GET, "/open", false, true),
            (Method::GET, "/ok", false, true),
            (Method::GET, "/socket", false, false),
        ] {
            assert_eq!((table.matches(&method, path), table.matches_fallback(path)), (early, late), "{method} {path}");
        }
        assert!(table.has_websocket("/socket") && !table.has_websocket("/open/"));
    }
}
