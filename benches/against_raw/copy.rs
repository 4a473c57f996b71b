//! Sending users by `COPY … FROM STDIN BINARY`, and taking keys from a sequence before.

use futures_util::pin_mut;
use tokio_postgres::Client;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::Type;

use crate::model::UserData;
use crate::stage::Stage;

/// Takes keys from the sequence of a table.
pub async fn next_keys(stage: &Stage, table: &str, count: usize) -> Vec<i64> {
    let text = format!("SELECT nextval('{table}_id_seq') FROM generate_series(1, $1::int8)");
    let statement = stage.prepared(&text).await;
    let count = i64::try_from(count).unwrap();
    let rows = stage.client.query(&statement, &[&count]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

pub async fn copy_users(client: &Client, ids: &[i64], users: impl Iterator<Item = &UserData>) {
    let text = "COPY users (id, name, email, age, active, created_at) FROM STDIN BINARY";
    let types = [Type::INT8, Type::TEXT, Type::TEXT, Type::INT4, Type::BOOL, Type::TIMESTAMPTZ];
    let writer = BinaryCopyInWriter::new(client.copy_in(text).await.unwrap(), &types);
    pin_mut!(writer);
    for (id, user) in ids.iter().zip(users) {
        writer.as_mut().write(&[id, &user.name, &user.email, &user.age, &user.active, &user.created_at]).await.unwrap();
    }
    writer.finish().await.unwrap();
}
