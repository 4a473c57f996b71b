//! Cancelling what the server is doing for a connection.
//!
//! PostgreSQL takes such a request on a connection of its own, and closes that when the request has been carried out.
//! tokio-postgres does not wait for this; here it is waited for, because a request that is still on its way would hit the
//! next statement of the connection, whosever that is.

use std::net::IpAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio_postgres::config::Host;
use tokio_postgres::{CancelToken, NoTls};

/// Where the server listens.
pub(crate) struct CancelAddress {
    endpoints: Vec<Endpoint>,
}

enum Endpoint {
    Address(IpAddr, u16),
    Name(String, u16),
    #[cfg(unix)]
    Socket(std::path::PathBuf),
}

/// How long one endpoint is tried. A server that does not answer is not running our statement any more, or is lost.
const PATIENCE: Duration = Duration::from_secs(5);

impl CancelAddress {
    pub(super) fn of(config: &tokio_postgres::Config) -> Self {
        let ports = config.get_ports();
        let port = |index: usize| ports.get(index).or_else(|| ports.first()).copied().unwrap_or(5432);
        let addresses = config.get_hostaddrs();
        let endpoints = if addresses.is_empty() {
            let hosts = config.get_hosts().iter().enumerate();
            hosts.map(|(index, host)| Endpoint::of_host(host, port(index))).collect()
        } else {
            let addresses = addresses.iter().enumerate();
            addresses.map(|(index, address)| Endpoint::Address(*address, port(index))).collect()
        };
        Self { endpoints }
    }

    /// Asks the server to cancel what it is doing for the connection of this token; answers when the server has done so,
    /// or cannot be reached.
    pub(super) async fn cancel(&self, token: &CancelToken) {
        // Which of several servers has the connection is not known; the token means nothing to the others.
        for endpoint in &self.endpoints {
            match tokio::time::timeout(PATIENCE, endpoint.cancel(token)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(target: "howdah", %error, "a statement could not be cancelled"),
                Err(_) => tracing::warn!(target: "howdah", "a statement could not be cancelled: no answer"),
            }
        }
    }
}

impl Endpoint {
    fn of_host(host: &Host, port: u16) -> Self {
        match host {
            Host::Tcp(name) => Self::Name(name.clone(), port),
            #[cfg(unix)]
            Host::Unix(directory) => Self::Socket(directory.join(format!(".s.PGSQL.{port}"))),
        }
    }

    async fn cancel(&self, token: &CancelToken) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        match self {
            Self::Address(address, port) => send(token, tokio::net::TcpStream::connect((*address, *port)).await?).await,
            Self::Name(name, port) => send(token, tokio::net::TcpStream::connect((name.as_str(), *port)).await?).await,
            #[cfg(unix)]
            Self::Socket(path) => send(token, tokio::net::UnixStream::connect(path).await?).await,
        }
    }
}

/// Sends the request, and waits until the server closes the connection.
async fn send(
    token: &CancelToken,
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    token.cancel_query_raw(&mut stream, NoTls).await?;
    // It may also be reset.
    let _ = stream.read(&mut [0]).await;
    Ok(())
}
