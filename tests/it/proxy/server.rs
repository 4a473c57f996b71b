//! The server behind the proxy: how it is reached.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::config::Host;
use tokio_postgres::{Config, NoTls};

pub type Reader = Box<dyn AsyncRead + Send + Unpin>;
pub type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// The same database at another address, as `key=value` pairs.
pub fn url_at(server: &Config, address: SocketAddr) -> String {
    let mut url = format!("host={} port={}", address.ip(), address.port());
    let password = server.get_password().map(|password| String::from_utf8_lossy(password).into_owned());
    let parts = [
        ("user", server.get_user()),
        ("password", password.as_deref()),
        ("dbname", server.get_dbname()),
        ("options", server.get_options()),
        ("application_name", server.get_application_name()),
    ];
    for (key, value) in parts {
        if let Some(value) = value {
            url += &format!(" {key}='{}'", value.replace('\\', "\\\\").replace('\'', "\\'"));
        }
    }
    url
}

/// A connection to the server.
pub async fn connect(server: &Config) -> (Reader, Writer) {
    let port = server.get_ports().first().copied().unwrap_or(5432);
    let stream = match (server.get_hostaddrs().first(), server.get_hosts().first()) {
        (Some(address), _) => TcpStream::connect((*address, port)).await,
        (None, Some(Host::Tcp(name))) => TcpStream::connect((name.as_str(), port)).await,
        (None, Some(Host::Unix(directory))) => {
            let socket = directory.join(format!(".s.PGSQL.{port}"));
            let (reader, writer) = UnixStream::connect(socket).await.unwrap().into_split();
            return (Box::new(reader), Box::new(writer));
        }
        (None, None) => panic!("the database URL names no host"),
    };
    let stream = stream.unwrap();
    stream.set_nodelay(true).unwrap();
    let (reader, writer) = stream.into_split();
    (Box::new(reader), Box::new(writer))
}

/// Ends a session of the server, and waits until it is gone.
pub async fn terminate(server: &Config, process: i32) {
    let (client, connection) = server.connect(NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let gone = client.query_one("SELECT pg_terminate_backend($1, 5000)", &[&process]).await.unwrap();
    assert!(gone.get::<_, bool>(0), "session {process} is still there after five seconds");
    drop(client);
    connection.await.unwrap().unwrap();
}
