// Every attribute and option, and what they say in the entity's description.
#![deny(warnings)]
#![forbid(unsafe_code)]
use howdah::prelude::*;
use howdah::{ColumnMeta, PropertyMeta, RelationKind, RelationMeta};

#[derive(Entity, Clone, Debug)]
#[entity(table = "users", schema = "app", comment = "people")]
#[index(username, age, name = "users_by_age", where = "age > 3")]
#[index(properties(email))]
#[unique(email, username, deferrable)]
#[unique(age, where = "age > 3")]
#[unique(age, expression = "lower(login)", expression = "email || 'x'", name = "logins")]
#[index(expression = "lower(email)")]
#[check("age > 0")]
#[check("length(email) > 3", name = "long_email")]
pub struct User {
    #[primary_key]
    pub id: i64,
    #[property(unique, length = 50, column = "login", comment = "shown to others")]
    pub username: String,
    #[property(index, check = "email like '%@%'")]
    pub email: String,
    pub age: Option<i32>,
    #[property(precision = 10, scale = 2, sql_type = "numeric(10, 2)")]
    pub balance: f64,
    #[property(default = true)]
    pub is_active: bool,
    #[property(default_sql = "now()")]
    pub joined_at: DateTime<Utc>,
    #[property(on_create = Utc::now(), on_update = Utc::now())]
    pub updated_at: DateTime<Utc>,
    #[version]
    pub version: i32,
    #[one_to_many(mapped_by = author, cascade(persist, remove), orphan_removal)]
    pub posts: Collection<Post>,
    #[one_to_one(mapped_by = user, orphan_removal, cascade())]
    pub profile: Option<Ref<Profile>>,
    #[transient]
    pub cache: Option<String>,
    pub settings: Json<Vec<String>>,
}

#[derive(Entity, Clone, Debug)]
pub struct Post {
    #[primary_key]
    pub id: Uuid,
    pub title: String,
    #[many_to_one(
        inversed_by = posts,
        on_delete = cascade,
        on_update = "no action",
        deferrable = "initially_deferred",
        column = "writer_id",
        index,
        comment = "who wrote it"
    )]
    pub author: Ref<User>,
    #[many_to_one(on_delete = set_null, cascade(all))]
    pub editor: Option<Ref<User>>,
    #[many_to_many(inversed_by = posts, pivot_table = "post_tags", join_column = "post", inverse_join_columns("tag"), fixed_order, fixed_order_column = "place")]
    pub tags: Collection<Tag>,
}

#[derive(Entity, Clone, Debug)]
pub struct Tag {
    #[primary_key(length = 20, column = "label")]
    pub name: String,
    #[many_to_many(mapped_by = tags)]
    pub posts: Collection<Post>,
}

#[derive(Entity, Clone, Debug)]
pub struct Profile {
    #[primary_key(default = "nextval('profile_ids')")]
    pub id: i32,
    #[one_to_one(inversed_by = profile)]
    pub user: Ref<User>,
}

fn property<E: Entity>(name: &str) -> &'static PropertyMeta {
    E::meta().properties.iter().find(|property| property.name == name).unwrap()
}

fn column<E: Entity>(name: &str) -> &'static ColumnMeta {
    property::<E>(name).as_column().unwrap()
}

fn relation<E: Entity>(name: &str) -> &'static RelationMeta {
    property::<E>(name).as_relation().unwrap()
}

fn main() {
    let user = User::meta();
    assert_eq!((user.name, user.table, user.schema), ("User", Some("users"), Some("app")));
    assert_eq!(user.comment, Some("people"));
    assert!(user.source.contains("all_attributes.rs:"));
    let names: Vec<&str> = user.properties.iter().map(|property| property.name).collect();
    assert_eq!(names[..4], ["id", "username", "email", "age"]);
    assert!(!names.contains(&"cache"));

    let indexes: Vec<_> = user.indexes.iter().map(|index| (index.name, index.properties, index.unique)).collect();
    assert_eq!(indexes[0], (Some("users_by_age"), &["username", "age"][..], false));
    assert_eq!(indexes[1], (None, &["email"][..], false));
    assert_eq!(indexes[2], (None, &["email", "username"][..], true));
    assert_eq!(user.indexes[4].expressions, ["lower(login)", "email || 'x'"]);
    assert_eq!((user.indexes[4].unique, user.indexes[4].name), (true, Some("logins")));
    assert_eq!((user.indexes[5].expressions, user.indexes[5].unique), (&["lower(email)"][..], false));
    assert_eq!(user.indexes[0].predicate, Some("age > 3"));
    assert_eq!(user.indexes[2].deferrable, Some("initially immediate"));
    let checks: Vec<_> = user.checks.iter().map(|check| (check.name, check.expression)).collect();
    assert_eq!(checks, [(None, "age > 0"), (Some("long_email"), "length(email) > 3")]);

    assert!(column::<User>("id").identity && property::<User>("id").primary);
    let username = column::<User>("username");
    assert_eq!((username.unique, username.length, username.column), (true, Some(50), Some("login")));
    assert_eq!(username.comment, Some("shown to others"));
    assert!(column::<User>("email").index && column::<User>("email").check.is_some());
    assert!(column::<User>("age").nullable && !column::<User>("email").nullable);
    let balance = column::<User>("balance");
    assert_eq!((balance.precision, balance.scale, balance.sql_type), (Some(10), Some(2), Some("numeric(10, 2)")));
    assert!(column::<User>("is_active").default.is_some());
    assert_eq!(column::<User>("joined_at").default_sql, Some("now()"));
    assert!(column::<User>("updated_at").on_create.is_some() && column::<User>("updated_at").on_update.is_some());
    assert!(column::<User>("version").version);

    let posts = relation::<User>("posts");
    assert_eq!((posts.kind, posts.mapped_by), (RelationKind::OneToMany, Some("author")));
    assert!(posts.cascade_persist && posts.cascade_remove && posts.orphan_removal);
    assert_eq!((posts.target)().name, "Post");
    let profile = relation::<User>("profile");
    assert!(!profile.cascade_persist && !profile.cascade_remove && profile.nullable);

    let author = relation::<Post>("author");
    assert_eq!((author.kind, author.inversed_by), (RelationKind::ManyToOne, Some("posts")));
    assert_eq!((author.on_delete, author.on_update), (Some("cascade"), Some("no action")));
    assert_eq!((author.deferrable, author.columns), (Some("initially deferred"), &["writer_id"][..]));
    assert!(!author.nullable && author.index && author.cascade_persist && !author.cascade_remove);
    assert_eq!(author.comment, Some("who wrote it"));
    let editor = relation::<Post>("editor");
    assert!(editor.nullable && editor.cascade_remove && editor.on_delete == Some("set null"));
    let tags = relation::<Post>("tags");
    assert_eq!((tags.pivot_table, tags.join_columns), (Some("post_tags"), &["post"][..]));
    assert_eq!(tags.inverse_join_columns, ["tag"]);

    assert!(column::<Post>("id").uuid_v7);
    assert_eq!((column::<Tag>("name").length, column::<Tag>("name").column), (Some(20), Some("label")));
    assert!(!column::<Profile>("id").identity);
    assert_eq!(column::<Profile>("id").default_sql, Some("nextval('profile_ids')"));
    assert_eq!(relation::<Profile>("user").kind, RelationKind::OneToOne);

    let new = NewUser { username: "ada".into(), email: "ada@x".into(), balance: 1.5, settings: Json(Vec::new()) };
    assert!(format!("{:?}", new.clone()).starts_with("NewUser { username: ada, email: ada@x, balance: 1.5"));
    let ada = new.with(|user| user.age = Some(36));
    assert_eq!((ada.id, ada.version, ada.age, ada.is_active), (0, 1, Some(36), true));
    assert!(ada.posts.is_empty().unwrap() && ada.profile.is_none() && ada.cache.is_none());
    assert_eq!(ada.key_of(), 0);
    let path = format!("{:?}", User::fields().posts().tags().name());
    assert!(path.contains("User.posts.tags"), "{path}");
}
