//! The one server of this process: an ephemeral one, or that of `DATABASE_URL`.

use std::env;

use tokio::{sync::OnceCell, task};

use super::TestingError;
use super::administrator::Administrator;
use super::cluster::Cluster;
use super::server_url::ServerUrl;

/// The server, and the thread that administers it.
pub(super) struct Server {
    pub(super) url: ServerUrl,
    pub(super) administrator: Administrator,
    /// Stays until the process ends: a static is never dropped, which is why there is a watchdog.
    _cluster: Option<Cluster>,
}

impl Server {
    /// The server, which the first caller starts while others wait. If it could not be started, the next caller tries again.
    pub(super) async fn shared() -> Result<&'static Self, TestingError> {
        static SERVER: OnceCell<Server> = OnceCell::const_new();
        SERVER.get_or_try_init(Self::start).await
    }

    async fn start() -> Result<Self, TestingError> {
        if let Some(url) = env::var("DATABASE_URL").ok().filter(|url| !url.is_empty()) {
            return Self::of_database_url(&url).await;
        }
        let started = task::spawn_blocking(Cluster::start).await;
        let cluster = started.map_err(|error| TestingError::Administrator { reason: error.to_string() })??;
        let url = ServerUrl::of_socket(cluster.directory());
        let administrator = Administrator::start(url.config("postgres")?, true).await?;
        Ok(Self { url, administrator, _cluster: Some(cluster) })
    }

    async fn of_database_url(text: &str) -> Result<Self, TestingError> {
        let url = ServerUrl::of_database_url(text)?;
        // The user may be allowed into the database of the URL only.
        let config = text.parse().map_err(|_| TestingError::DatabaseUrl { reason: "it is no URL".to_owned() })?;
        let administrator = Administrator::start(config, false).await?;
        Ok(Self { url, administrator, _cluster: None })
    }
}
