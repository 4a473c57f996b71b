use howdah::prelude::*;

#[derive(Entity, Clone, Debug)]
#[entity(table = "users")]
pub struct User {
    #[primary_key]
    pub id: i64,
    #[property(unique, length = 50)]
    pub username: String,
    pub age: Option<i32>,
    #[property(on_create = Utc::now())]
    pub created_at: DateTime<Utc>,
    #[one_to_one(mapped_by = user, cascade(persist, remove))]
    pub profile: Option<Ref<Profile>>,
    #[one_to_many(mapped_by = author, cascade(persist, remove))]
    pub posts: Collection<Post>,
}

#[derive(Entity, Clone, Debug)]
pub struct Profile {
    #[primary_key]
    pub id: i64,
    pub biography: String,
    #[one_to_one(inversed_by = profile)]
    pub user: Ref<User>,
}

#[derive(Entity, Clone, Debug)]
pub struct Post {
    #[primary_key]
    pub id: Uuid,
    pub title: String,
    #[version]
    pub version: i32,
    #[many_to_one(inversed_by = posts)]
    pub author: Ref<User>,
    #[one_to_many(mapped_by = post, orphan_removal)]
    pub comments: Collection<Comment>,
    #[many_to_many(inversed_by = posts)]
    pub tags: Collection<Tag>,
}

#[derive(Entity, Clone, Debug)]
pub struct Comment {
    #[primary_key]
    pub id: i64,
    pub text: String,
    #[many_to_one(inversed_by = comments)]
    pub post: Ref<Post>,
    #[many_to_one]
    pub author: Option<Ref<User>>,
}

#[derive(Entity, Clone, Debug)]
pub struct Tag {
    #[primary_key]
    pub id: i64,
    #[property(unique)]
    pub name: String,
    #[many_to_many(mapped_by = tags)]
    pub posts: Collection<Post>,
}
