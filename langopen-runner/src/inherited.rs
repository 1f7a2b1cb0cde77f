//! The variables that user code inherits from the server's process.
//!
//! Graph hosts and installers start from an empty environment. They get the variables of the server's process, except
//! for:
//!
//! - names that only the platform reads: `LANGOPEN_...`, and those in [`NAMES`];
//! - if the platform uses Postgres, the variables of libpq in [`LIBPQ`], which its connections read;
//! - any other variable whose value is, or contains, an address or password of the platform.
//!
//! Nothing else is withheld. An application gets its own `DATABASE_URL`, unless it names the platform's database.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;

use percent_encoding::percent_decode_str;
use url::Url;

/// Names that only the platform reads, in addition to `LANGOPEN_...`.
const NAMES: [&str; 8] = [
    "DATABASE_DIRECT_URL",
    "DATABASE_URI",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "PGPASSWORD",
    "POSTGRES_PASSWORD",
    "POSTGRES_URI",
    "REDIS_URI",
];

/// The variables of libpq that a connection to the platform's Postgres reads.
const LIBPQ: [&str; 11] = [
    "PGAPPNAME",
    "PGDATABASE",
    "PGHOST",
    "PGHOSTADDR",
    "PGOPTIONS",
    "PGPASSFILE",
    "PGPORT",
    "PGSSLCERT",
    "PGSSLKEY",
    "PGSSLMODE",
    "PGUSER",
];

/// Names that every program needs, and whose values are never secrets.
const BASE: [&str; 10] = ["HOME", "HOSTNAME", "LANG", "LOGNAME", "PATH", "PWD", "SHELL", "TMPDIR", "TZ", "USER"];

/// A secret this short may occur in a harmless value by chance, so only a value that equals it is withheld.
const SHORT: usize = 8;

/// The secrets that the platform withholds from user code: the addresses of its data stores, its tokens and passwords.
#[derive(Clone, Default)]
pub struct Withheld {
    addresses: Vec<Address>,
    secrets: Vec<String>,
}

impl Withheld {
    /// Adds the address of a data store and the password in it. A text that is not a URL is ignored.
    #[must_use]
    pub fn with_address(mut self, url: &str) -> Self {
        if !url.contains("://") {
            return self;
        }
        let address = Address::of(url.trim());
        self.secrets.extend(address.passwords.iter().cloned());
        self.addresses.push(address);
        self
    }

    /// Adds a token or a password.
    #[must_use]
    pub fn with_secret(mut self, secret: &str) -> Self {
        self.secrets.extend(Some(secret.trim().to_owned()).filter(|secret| !secret.is_empty()));
        self
    }

    fn hides(&self, name: &str, value: &str) -> bool {
        let postgres = || self.addresses.iter().any(|address| address.is_postgres());
        if name.starts_with("LANGOPEN_") || NAMES.contains(&name) || (LIBPQ.contains(&name) && postgres()) {
            return true;
        }
        if BASE.contains(&name) || name.starts_with("LC_") {
            return false;
        }
        let value = value.trim();
        let secret = |secret: &String| match secret.len() < SHORT {
            true => value == secret,
            false => value.contains(secret.as_str()),
        };
        self.secrets.iter().any(secret) || self.addresses.iter().any(|address| address.is_in(value))
    }
}

impl fmt::Debug for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Withheld({} addresses, {} secrets)", self.addresses.len(), self.secrets.len())
    }
}

/// The address of a data store, in a form that recognizes it in different spellings.
#[derive(Clone)]
struct Address {
    text: String,
    destination: Option<Destination>,
    passwords: Vec<String>,
}

/// The destination of a URL: scheme, user, host, port and database.
#[derive(Clone, PartialEq, Eq)]
struct Destination {
    kind: &'static str,
    user: String,
    host: String,
    port: u16,
    database: String,
}

impl Address {
    fn of(text: &str) -> Self {
        let url = Url::parse(text).ok();
        let mut passwords = Vec::new();
        if let Some(url) = &url {
            let encoded = url.password().unwrap_or_default().to_owned();
            let query = url.query_pairs().filter(|(name, _)| matches!(name.as_ref(), "password" | "pass"));
            passwords.extend([decoded(&encoded), encoded]);
            passwords.extend(query.map(|(_, value)| value.into_owned()));
            passwords.retain(|password| !password.is_empty());
            passwords.dedup();
        }
        Self { text: text.to_owned(), destination: url.as_ref().and_then(Destination::of), passwords }
    }

    fn is_postgres(&self) -> bool {
        self.destination.as_ref().is_some_and(|destination| destination.kind == "postgres")
    }

    /// Whether the value is this address, or a text that contains it.
    fn is_in(&self, value: &str) -> bool {
        let destination = Url::parse(value).ok().as_ref().and_then(Destination::of);
        if destination.is_some() && destination == self.destination {
            return true;
        }
        // `redis://host:6379` is not contained in `redis://host:6379/1`.
        let goes_on = |rest: &str| rest.starts_with(|c: char| c.is_alphanumeric() || "_-./:?@".contains(c));
        value.match_indices(&self.text).any(|(index, found)| !goes_on(&value[index + found.len()..]))
    }
}

impl Destination {
    fn of(url: &Url) -> Option<Self> {
        // SQLAlchemy adds the driver: `postgresql+asyncpg`.
        let (kind, port) = match url.scheme().split('+').next()? {
            "postgres" | "postgresql" => ("postgres", 5432),
            "redis" | "rediss" => ("redis", 6379),
            _ => return None,
        };
        let user = decoded(url.username());
        let database = decoded(url.path().trim_matches('/'));
        let database = match (kind, database.is_empty()) {
            ("redis", true) => "0".to_owned(),
            (_, true) => user.clone(),
            (_, false) => database,
        };
        let host = url.host_str()?.to_lowercase();
        Some(Self { kind, user, host, port: url.port().unwrap_or(port), database })
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The variables that graph hosts and installers inherit. The default is none.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Inherited(BTreeMap<OsString, OsString>);

impl Inherited {
    /// The variables of this process, without those that are withheld.
    #[must_use]
    pub fn of_process(withheld: &Withheld) -> Self {
        Self::of(std::env::vars_os(), withheld)
    }

    fn of(variables: impl Iterator<Item = (OsString, OsString)>, withheld: &Withheld) -> Self {
        let variables: Vec<_> = variables.collect();
        // A password that the platform's connections read from the environment is the platform's, in any variable.
        let password =
            variables.iter().find(|(name, _)| name == "PGPASSWORD").map(|(_, value)| value.to_string_lossy());
        let postgres = withheld.addresses.iter().any(Address::is_postgres);
        let withheld = match password.filter(|_| postgres) {
            Some(password) => withheld.clone().with_secret(&password),
            None => withheld.clone(),
        };
        let shown =
            |(name, value): &(OsString, OsString)| !withheld.hides(&name.to_string_lossy(), &value.to_string_lossy());
        Self(variables.into_iter().filter(shown).collect())
    }

    /// The value of a variable, if it is valid UTF-8.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        self.0.get(OsStr::new(name))?.clone().into_string().ok()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&OsString, &OsString)> {
        self.0.iter()
    }
}

impl fmt::Debug for Inherited {
    /// Prints only the names: values may be secrets of the application.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(variables: &[(&str, &str)], withheld: &Withheld) -> Vec<String> {
        let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let inherited = Inherited::of(variables, withheld);
        inherited.0.into_keys().map(|name| name.into_string().expect("a text")).collect()
    }

    #[test]
    fn what_the_platform_reads_is_withheld_and_nothing_else() {
        let variables = [
            ("PATH", "/bin"),
            ("LANGOPEN_DATABASE_URL", "postgres://h/d"),
            ("LANGOPEN_RUNNER_TOKEN", "t"),
            ("DATABASE_URI", "x"),
            ("POSTGRES_URI", "x"),
            ("REDIS_URI", "x"),
            ("DATABASE_DIRECT_URL", "x"),
            ("PGPASSWORD", "x"),
            ("POSTGRES_PASSWORD", "x"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"),
            ("DATABASE_URL", "postgres://app@h/app"),
            ("REDIS_URL", "redis://h"),
            ("PGHOST", "h"),
            ("OPENAI_API_KEY", "k"),
            ("HTTPS_PROXY", "http://p"),
        ];
        assert_eq!(
            left(&variables, &Withheld::default()),
            [
                "DATABASE_URL",
                "HTTPS_PROXY",
                "OPENAI_API_KEY",
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                "PATH",
                "PGHOST",
                "REDIS_URL"
            ]
        );
    }

    #[test]
    fn a_value_of_the_platform_is_withheld_under_any_name() {
        let withheld = Withheld::default()
            .with_address("postgres://plat:p%40ssword-of-9@db:5432/platform?sslmode=require")
            .with_address("redis://cache:6379")
            .with_secret("token-of-the-runner");
        let hidden = [
            ("DATABASE_URL", "postgres://plat:p%40ssword-of-9@db/platform"),
            ("SQLALCHEMY_URL", "postgresql+asyncpg://plat:p%40ssword-of-9@DB:5432/platform"),
            ("DB_PASSWORD", "p@ssword-of-9"),
            ("DSN", "host=db password=p@ssword-of-9"),
            ("REDIS_URL", "redis://cache"),
            ("CELERY", "{\"broker\": \"redis://cache:6379\"}"),
            ("TOKEN", " token-of-the-runner\n"),
            ("PGHOST", "db"),
        ];
        let own = [
            ("APP_DATABASE_URL", "postgres://app:other@db:5432/app"),
            ("APP_REDIS_URL", "redis://cache:6379/1"),
            ("OTHER_REDIS", "redis://cache:6380"),
            ("NAME", "platform"),
        ];
        let all: Vec<_> = hidden.into_iter().chain(own).collect();
        let mut expected: Vec<_> = own.iter().map(|(name, _)| (*name).to_owned()).collect();
        expected.sort();
        assert_eq!(left(&all, &withheld), expected);
        assert!(!format!("{withheld:?}").contains("ssword"));
    }

    #[test]
    fn a_short_password_hides_no_more_than_itself() {
        let withheld = Withheld::default().with_address("postgres://postgres:post@db/post");
        let variables = [("DB_PASSWORD", "post"), ("USER", "post"), ("GREETING", "a post"), ("PGPASSWORD", "post")];
        assert_eq!(left(&variables, &withheld), ["GREETING", "USER"]);
    }

    #[test]
    fn the_password_of_libpq_is_the_platforms_where_it_connects_with_it() {
        let variables = [("PGPASSWORD", "long-enough"), ("COPY", "long-enough")];
        let withheld = Withheld::default().with_address("postgres://u@db/d");
        assert!(left(&variables, &withheld).is_empty());
        assert_eq!(left(&variables, &Withheld::default()), ["COPY"]);
    }
}
