//! Loads the scripts of Pagila, which are written for psql: `COPY … FROM stdin` is followed by the rows.

use std::path::{Path, PathBuf};

use futures_util::SinkExt;
use howdah::prelude::*;
use howdah::testing::TestDatabase;
use tokio_postgres::Client;

use super::entities::entities;
use crate::support::Fixture;

/// The folder of the scripts: `PAGILA_SQL`, or where they are usually.
fn folder() -> Option<PathBuf> {
    let given = std::env::var_os("PAGILA_SQL").map(PathBuf::from);
    let usual = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/pagila");
    let folder = given.unwrap_or_else(usual);
    folder.join("pagila-data.sql").is_file().then_some(folder)
}

/// A database with the data; `None`, and a message, if the scripts are not there.
pub async fn pagila() -> Option<Fixture> {
    let Some(folder) = folder() else {
        eprintln!("skipped: the scripts of Pagila are not there: say where they are in PAGILA_SQL");
        return None;
    };
    let database = TestDatabase::from_template("pagila", async |url: String| {
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        run(&client, &read("pagila-schema.sql")).await;
        run(&client, &read("pagila-data.sql")).await;
        drop(client);
        connection.await.unwrap()
    })
    .await
    .unwrap();
    let log = howdah::StatementLog::new();
    let builder = Orm::builder().url(database.url()).entities(entities()).statement_log(&log);
    let orm = builder.connect().await.unwrap();
    Some(Fixture { database, orm, log })
}

/// Runs a script: its statements, and the rows behind each `COPY`.
async fn run(client: &Client, script: &str) {
    let mut statements = String::new();
    let mut lines = script.lines();
    while let Some(line) = lines.next() {
        // Who owns the tables does not matter, and the owner is not there.
        if line.contains(" OWNER TO ") {
            continue;
        }
        if !line.starts_with("COPY ") {
            statements.push_str(line);
            statements.push('\n');
            continue;
        }
        client.batch_execute(&std::mem::take(&mut statements)).await.unwrap();
        let rows: String = lines.by_ref().take_while(|line| *line != "\\.").flat_map(|line| [line, "\n"]).collect();
        let copy = client.copy_in(line.trim_end_matches(';')).await.unwrap();
        let mut copy = std::pin::pin!(copy);
        copy.send(bytes::Bytes::from(rows)).await.unwrap();
        copy.finish().await.unwrap();
    }
    client.batch_execute(&statements).await.unwrap();
}
