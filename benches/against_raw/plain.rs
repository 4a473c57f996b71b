//! What the raw side reads into and sends: plain structs, and a column array a property.

use howdah::prelude::{DateTime, Projection, Utc};
use tokio_postgres::Row;

use crate::model::{User, UserData};

pub const USER_COLUMNS: &str = "id, name, email, age, active, created_at";

#[derive(Debug, PartialEq, Projection)]
#[projection(entity = User)]
pub struct PlainUser {
    pub id: i64,
    pub name: String,
    pub email: String,
    pub age: i32,
    pub active: bool,
    pub created_at: DateTime<Utc>,
}

impl PlainUser {
    pub fn of(row: &Row) -> Self {
        Self {
            id: row.get(0),
            name: row.get(1),
            email: row.get(2),
            age: row.get(3),
            active: row.get(4),
            created_at: row.get(5),
        }
    }
}

#[derive(Debug)]
pub struct PlainPost {
    pub id: i64,
    pub author_id: i64,
    pub title: String,
    pub body: String,
}

#[derive(Debug)]
pub struct PlainTag {
    pub id: i64,
    pub name: String,
}

/// The columns of users as array parameters.
pub struct UserArrays<'a> {
    pub name: Vec<&'a str>,
    pub email: Vec<&'a str>,
    pub age: Vec<i32>,
    pub active: Vec<bool>,
    pub created_at: Vec<DateTime<Utc>>,
}

impl<'a> UserArrays<'a> {
    pub fn of(users: impl Iterator<Item = &'a UserData> + Clone) -> Self {
        Self {
            name: users.clone().map(|user| user.name.as_str()).collect(),
            email: users.clone().map(|user| user.email.as_str()).collect(),
            age: users.clone().map(|user| user.age).collect(),
            active: users.clone().map(|user| user.active).collect(),
            created_at: users.map(|user| user.created_at).collect(),
        }
    }
}
