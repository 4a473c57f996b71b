//! What is written and read: users write posts, posts have tags; and the data of new ones.

use std::time::Duration;

use howdah::prelude::*;

#[derive(Entity, Clone, Debug)]
#[entity(table = "users")]
pub struct User {
    #[primary_key]
    pub id: i64,
    pub name: String,
    pub email: String,
    pub age: i32,
    pub active: bool,
    pub created_at: DateTime<Utc>,
    #[one_to_many(mapped_by = author)]
    pub posts: Collection<Post>,
}

#[derive(Entity, Clone, Debug)]
#[entity(table = "posts")]
pub struct Post {
    #[primary_key]
    pub id: i64,
    #[many_to_one(inversed_by = posts, index)]
    pub author: Ref<User>,
    pub title: String,
    pub body: String,
    #[many_to_many(pivot_table = "post_tags", join_column = "post_id", inverse_join_column = "tag_id")]
    pub tags: Collection<Tag>,
}

#[derive(Entity, Clone, Debug)]
#[entity(table = "tags")]
pub struct Tag {
    #[primary_key]
    pub id: i64,
    pub name: String,
}

/// A user that is to be written: plain data, from which each side makes what it sends.
#[derive(Clone, Debug)]
pub struct UserData {
    pub name: String,
    pub email: String,
    pub age: i32,
    pub active: bool,
    pub created_at: DateTime<Utc>,
}

impl UserData {
    pub fn to_new(&self) -> NewUser {
        NewUser {
            name: self.name.clone(),
            email: self.email.clone(),
            age: self.age,
            active: self.active,
            created_at: self.created_at,
        }
    }
}

/// A post that is to be written, with the keys of its tags.
#[derive(Clone, Debug)]
pub struct PostData {
    pub title: String,
    pub body: String,
    pub tags: [i64; 3],
}

/// How many tags there are; their keys count from 1.
pub const TAGS: i64 = 50;

pub fn users(count: usize) -> Vec<UserData> {
    let start = DateTime::from_timestamp(1_704_067_200, 0).unwrap();
    let user = |number: usize| UserData {
        name: format!("User number {number}"),
        email: format!("user{number}@example.com"),
        age: 18 + i32::try_from(number % 60).unwrap(),
        active: !number.is_multiple_of(3),
        created_at: start + Duration::from_secs(number as u64),
    };
    (0..count).map(user).collect()
}

/// Users with ten posts each.
pub fn graph(count: usize) -> Vec<(UserData, Vec<PostData>)> {
    let post = |user: usize, number: usize| {
        let base = i64::try_from(user * 10 + number).unwrap();
        PostData {
            title: format!("Post {number} of user {user}"),
            body: format!("Body of post {number} of user {user}: {}", "lorem ipsum dolor sit amet ".repeat(4)),
            tags: [0, 7, 19].map(|step| (base + step) % TAGS + 1),
        }
    };
    let users = users(count).into_iter().enumerate();
    users.map(|(user, data)| (data, (0..10).map(|number| post(user, number)).collect())).collect()
}
