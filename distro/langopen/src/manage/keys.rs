//! `langopen keys`.

use clap::{Args, Subcommand};
use langopen_core::auth::{ApiKey, KeyScope, Role};
use langopen_core::model::{NewStoredApiKey, StoredApiKey};
use langopen_core::storage::{ApiKeys, Deployments};
use langopen_core::{ApiKeyId, Clock, IdSource, SystemClock, SystemIds, Tenant, Timestamp};
use serde_json::{Value, json};

use super::store::StoreOptions;
use super::table;
use crate::error::CommandError;
use crate::keys;

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Create a key in the installation's database, and print it once. Every server accepts it within seconds.
    Create(CreateOptions),
    /// List the keys in the installation's database, each by its first characters.
    List(ListOptions),
    /// Revoke a key in the installation's database. Every server refuses it within seconds.
    Revoke(RevokeOptions),
    /// Create a key for the file of `up --api-keys`, and print it once with its record.
    New(NewKeyOptions),
}

/// Options of `langopen keys create`.
#[derive(Debug, Clone, Args)]
pub(crate) struct CreateOptions {
    /// The key's name, which is also its bearer's identity.
    #[arg(long)]
    name: String,
    /// The role of its bearer: viewer, developer, operator or admin.
    #[arg(long)]
    role: Role,
    /// The scope: organization/project/deployment, organization/project/* or organization/* [default:
    /// default/default/default].
    #[arg(long)]
    scope: Option<KeyScope>,
    /// When the key expires, e.g. 2027-01-01T00:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = time)]
    expires_at: Option<Timestamp>,
    #[command(flatten)]
    store: StoreOptions,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Options of `langopen keys list`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ListOptions {
    /// Only keys within this scope.
    #[arg(long)]
    scope: Option<KeyScope>,
    #[command(flatten)]
    store: StoreOptions,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Options of `langopen keys revoke`.
#[derive(Debug, Clone, Args)]
pub(crate) struct RevokeOptions {
    /// The key's id, as `langopen keys list` shows it.
    key_id: ApiKeyId,
    #[command(flatten)]
    store: StoreOptions,
}

/// Options of `langopen keys new`.
#[derive(Debug, Clone, Args)]
pub(crate) struct NewKeyOptions {
    /// The key's name.
    #[arg(long)]
    pub(crate) name: String,
    /// The identity of its bearer [default: the name].
    #[arg(long)]
    pub(crate) identity: Option<String>,
    /// The deployment of its bearer, as organization/project/deployment [default: default/default/default].
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    /// The role of its bearer: viewer, developer, operator or admin [default: admin].
    #[arg(long)]
    pub(crate) role: Option<Role>,
    /// A permission of its bearer, in the application's own terms; may be repeated.
    #[arg(long = "permission", value_name = "PERMISSION")]
    pub(crate) permissions: Vec<String>,
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "expected a date and time such as 2027-01-01T00:00:00Z".to_owned())
}

pub(crate) async fn run(command: KeysCommand) -> Result<(), CommandError> {
    match command {
        KeysCommand::Create(options) => {
            let store = options.store.open().await?;
            let created = create(&*store.api_keys(), &*store.deployments(), options).await;
            store.close().await;
            created
        }
        KeysCommand::List(options) => {
            let store = options.store.open().await?;
            let listed = store.api_keys().list_api_keys(options.scope.as_ref()).await;
            store.close().await;
            show(&listed?, options.json)
        }
        KeysCommand::Revoke(RevokeOptions { key_id, store }) => {
            let store = store.open().await?;
            let revoked = store.api_keys().revoke_api_key(None, key_id).await;
            store.close().await;
            let key = revoked.map_err(|error| match error.kind() {
                langopen_core::ErrorKind::NotFound => CommandError::NoKey(key_id.to_string()),
                _ => error.into(),
            })?;
            println!("The key {} ({}) is revoked. Every server refuses it within seconds.", key.key_id, key.name);
            Ok(())
        }
        KeysCommand::New(options) => keys::new(options),
    }
}

async fn create(keys: &dyn ApiKeys, deployments: &dyn Deployments, options: CreateOptions) -> Result<(), CommandError> {
    let scope = options.scope.unwrap_or_else(|| KeyScope::Deployment(Tenant::default()));
    if let Some(tenant) = scope.deployment().filter(|tenant| **tenant != Tenant::default())
        && deployments.deployment(tenant).await?.is_none()
    {
        return Err(CommandError::NoDeployment(tenant.clone()));
    }
    let key = ApiKey::generate()?;
    let new = NewStoredApiKey {
        key_id: ApiKeyId(SystemIds.ordered()),
        name: options.name,
        hash: key.hash(),
        prefix: key.prefix().to_owned(),
        scope,
        role: options.role,
        expires_at: options.expires_at,
    };
    let created = keys.create_api_key(new).await?;
    if options.json {
        let mut shown = json(&created);
        shown["key"] = key.expose().into();
        println!("{shown}");
        return Ok(());
    }
    println!(
        "The key of {} ({}, {}). This is the only time that it is shown:",
        created.name, created.role, created.scope
    );
    println!("\n  {}\n", key.expose());
    println!(
        "Its id is {}. A server that was started without keys asks for them from its next start on.",
        created.key_id
    );
    Ok(())
}

fn show(keys: &[StoredApiKey], as_json: bool) -> Result<(), CommandError> {
    if as_json {
        println!("{}", serde_json::to_string(&keys.iter().map(json).collect::<Vec<_>>())?);
        return Ok(());
    }
    let now = SystemClock.now();
    let state = |key: &StoredApiKey| match (key.revoked_at, key.expires_at) {
        (Some(at), _) => format!("revoked {}", day(at)),
        (None, Some(at)) if at <= now => format!("expired {}", day(at)),
        (None, Some(at)) => format!("until {}", day(at)),
        (None, None) => "valid".to_owned(),
    };
    let row = |key: &StoredApiKey| {
        let used = key.last_used_at.map_or_else(|| "never".to_owned(), day);
        let begins = format!("{}...", key.prefix);
        let [id, scope, role] = [key.key_id.to_string(), key.scope.to_string(), key.role.to_string()];
        [id, key.name.clone(), begins, scope, role, state(key), used]
    };
    let rows: Vec<_> = keys.iter().map(row).collect();
    table::print(["ID", "NAME", "KEY", "SCOPE", "ROLE", "STATE", "LAST USED"], &rows, "There are no keys.");
    Ok(())
}

/// Formats a timestamp to the minute.
fn day(at: Timestamp) -> String {
    at.to_string().chars().take("2026-01-01T00:00".len()).map(|c| if c == 'T' { ' ' } else { c }).collect()
}

fn json(key: &StoredApiKey) -> Value {
    json!({
        "key_id": key.key_id, "name": key.name, "prefix": key.prefix, "scope": key.scope.to_string(), "role": key.role,
        "created_at": key.created_at, "expires_at": key.expires_at, "revoked_at": key.revoked_at,
        "last_used_at": key.last_used_at,
    })
}
