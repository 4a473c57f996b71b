//! How tables, columns and constraints are called: by the strategies, by hand, and with any characters.

use crate::support::Fixture;
use howdah::prelude::*;
use howdah::{EntityCaseNamingStrategy, NamingStrategy, UnderscoreNamingStrategy};

#[derive(Entity, Clone, Debug)]
pub struct BlogPost {
    #[primary_key]
    pub id: i64,
    #[property(unique)]
    pub main_title: String,
    #[many_to_one]
    pub written_by: Ref<HTTPUser>,
    #[many_to_many(inversed_by = tagged_posts)]
    pub post_tags: Collection<PostTag>,
    #[many_to_many]
    pub see_also: Collection<BlogPost>,
}

#[derive(Entity, Clone, Debug)]
pub struct HTTPUser {
    #[primary_key]
    pub id: i64,
    pub r#type: String,
}

#[derive(Entity, Clone, Debug)]
pub struct PostTag {
    #[primary_key]
    pub label: String,
    #[many_to_many(mapped_by = post_tags)]
    pub tagged_posts: Collection<BlogPost>,
}

/// Writes, finds, filters over relations, changes and removes, whatever the names are.
async fn story(fixture: &Fixture) {
    let em = fixture.em();
    let user = em.persist(NewHTTPUser { r#type: "author".into() });
    let post = em.persist(NewBlogPost { main_title: "first".into(), written_by: user.to_ref() });
    let other = em.persist(NewBlogPost { main_title: "second".into(), written_by: user.to_ref() });
    let tag = em.persist(NewPostTag { label: "rust".into() });
    post.write().post_tags.add(&tag);
    post.write().see_also.add(&other);
    em.flush().await.unwrap();
    let em = fixture.em();
    let find =
        em.find::<BlogPost>().filter(|p| p.written_by().r#type().eq("author") & p.post_tags().label().eq("rust"));
    let find = find.filter(|p| p.see_also().main_title().eq("second")).order_by(|p| p.written_by().r#type().asc());
    let found = find.populate(|p| (p.written_by(), p.post_tags().tagged_posts(), p.see_also())).await.unwrap();
    assert_eq!(found.iter().map(|post| post.read().main_title.clone()).collect::<Vec<_>>(), ["first"]);
    assert_eq!(found[0].read().written_by.get().unwrap().read().r#type, "author");
    assert_eq!(found[0].read().see_also.items().unwrap()[0].id(), other.id());
    found[0].write().main_title = "second".into();
    let error = em.flush().await.unwrap_err();
    let Error::UniqueViolation { entity: Some("BlogPost"), properties, .. } = &error else { panic!("{error:?}") };
    assert_eq!(properties, &["main_title"]);
    found[0].write().main_title = "third".into();
    em.flush().await.unwrap();
    em.remove(&found[0]);
    em.flush().await.unwrap();
}

async fn tables(fixture: &Fixture) -> Vec<String> {
    let sql = "SELECT table_name, string_agg(column_name, ' ' ORDER BY ordinal_position) \
               FROM information_schema.columns WHERE table_schema = 'public' GROUP BY 1 ORDER BY 1";
    fixture.rows(sql).await
}

async fn constraints(fixture: &Fixture) -> Vec<String> {
    fixture.rows("SELECT conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1").await
}

#[tokio::test]
async fn by_default_names_are_in_snake_case() {
    let fixture = Fixture::new(entities![BlogPost, HTTPUser, PostTag]).await;
    assert_eq!(
        tables(&fixture).await,
        [
            "blog_post|id main_title written_by_id",
            "blog_post_post_tags|blog_post_id post_tag_label",
            "blog_post_see_also|blog_post_1_id blog_post_2_id",
            "http_user|id type",
            "post_tag|label",
        ]
    );
    assert!(constraints(&fixture).await.contains(&"blog_post_main_title_unique".to_owned()));
    story(&fixture).await;
}

#[tokio::test]
async fn entity_case_keeps_the_names_of_the_structs() {
    let entities = entities![BlogPost, HTTPUser, PostTag];
    let fixture = Fixture::with(entities, |builder| builder.naming_strategy(EntityCaseNamingStrategy)).await;
    assert_eq!(
        tables(&fixture).await,
        [
            "BlogPost|id main_title written_by",
            "BlogPost_post_tags|BlogPost_id PostTag_label",
            "BlogPost_see_also|BlogPost_1_id BlogPost_2_id",
            "HTTPUser|id type",
            "PostTag|label",
        ]
    );
    story(&fixture).await;
}

/// A strategy that takes the names as far from plain ones as they go.
#[derive(Debug)]
struct Hostile;

impl NamingStrategy for Hostile {
    fn table_name(&self, entity: &str) -> String {
        format!("{}\"; DROP TABLE \"x", UnderscoreNamingStrategy.table_name(entity))
    }

    fn column_name(&self, property: &str) -> String {
        format!("Ä {property} \"$1\" -- ?")
    }

    fn join_column_name(&self, property: &str, _: &str) -> String {
        format!("{property}→'id'\\")
    }

    fn pivot_table_name(&self, _: &str, property: &str) -> String {
        format!("SELECT {property}")
    }

    fn pivot_column_name(&self, _: &str, referenced_column: &str, role: Option<u8>) -> String {
        format!("{referenced_column}{role:?}")
    }

    fn constraint_name(&self, table: &str, columns: &[&str], suffix: &str) -> String {
        format!("{suffix} of {table}: {}", columns.join("; "))
    }
}

#[tokio::test]
async fn e1_identifiers_are_always_quoted() {
    let entities = || entities![BlogPost, HTTPUser, PostTag];
    let fixture = Fixture::with(entities(), |builder| builder.naming_strategy(Hostile)).await;
    let tables = tables(&fixture).await;
    assert!(
        tables.contains(&"http_user\"; DROP TABLE \"x|Ä id \"$1\" -- ? Ä type \"$1\" -- ?".to_owned()),
        "{tables:?}"
    );
    story(&fixture).await;
    fixture.orm.schema().drop().await.unwrap();
    assert!(self::tables(&fixture).await.is_empty());
}

#[derive(Entity, Clone, Debug)]
#[entity(table = "Select", schema = "Über \"schema\"")]
pub struct Keyword {
    #[primary_key(column = "primary")]
    pub id: i64,
    #[property(column = "order", index)]
    pub position: Option<i32>,
    #[property(column = "GROUP BY", unique)]
    pub group: String,
    #[many_to_one(column = "user")]
    pub parent: Option<Ref<Keyword>>,
    #[many_to_many(pivot_table = "from", join_column = "left", inverse_join_column = "right")]
    pub related: Collection<Keyword>,
}

#[tokio::test]
async fn names_given_by_hand_may_be_keywords_in_any_schema() {
    let fixture = Fixture::new(entities![Keyword]).await;
    let em = fixture.em();
    let parent = em.persist(NewKeyword { group: "a".into() });
    let child = em.persist(NewKeyword { group: "b".into() });
    child.update(|k| (k.parent, k.position) = (Some(parent.to_ref()), Some(7)));
    child.write().related.add(&parent);
    em.flush().await.unwrap();
    let sql =
        "SELECT \"primary\", \"order\", \"GROUP BY\", \"user\" FROM \"Über \"\"schema\"\"\".\"Select\" ORDER BY 1";
    assert_eq!(fixture.rows(sql).await, ["1|~|a|~", "2|7|b|1"]);
    assert_eq!(fixture.rows("SELECT \"left\", \"right\" FROM \"Über \"\"schema\"\"\".\"from\"").await, ["2|1"]);
    let em = fixture.em();
    let find = em.find::<Keyword>().filter(|k| k.parent().group().eq("a") & k.position().gt(1));
    let found =
        find.order_by(|k| (k.group().asc(), k.parent().position().desc())).populate(|k| k.related()).await.unwrap();
    assert_eq!(found[0].read().related.items().unwrap()[0].id(), parent.id());
    found[0].write().group = "a".into();
    let error = em.flush().await.unwrap_err();
    assert!(
        matches!(&error, Error::UniqueViolation { entity: Some("Keyword"), properties, .. } if properties == &["group"])
    );
}

mod offices {
    //! Two tables of one name, in two schemas.
    use howdah::prelude::*;

    #[derive(Entity, Clone, Debug)]
    #[entity(table = "office", schema = "north")]
    pub struct NorthOffice {
        #[primary_key(assigned)]
        pub id: i32,
        #[property(unique)]
        pub city: String,
        #[many_to_one]
        pub sister: Option<Ref<SouthOffice>>,
    }

    #[derive(Entity, Clone, Debug)]
    #[entity(table = "office", schema = "south")]
    pub struct SouthOffice {
        #[primary_key(assigned)]
        pub id: i32,
        #[property(column = "city", unique)]
        pub town: String,
    }
}

#[tokio::test]
async fn tables_of_one_name_in_two_schemas_are_kept_apart() {
    use offices::*;
    let fixture = Fixture::new(entities![NorthOffice, SouthOffice]).await;
    let em = fixture.em();
    let south = em.persist(NewSouthOffice { id: 1, town: "Lima".into() });
    let north = em.persist(NewNorthOffice { id: 1, city: "Oslo".into() });
    north.write().sister = Some(south.to_ref());
    em.flush().await.unwrap();
    let found = em.find::<NorthOffice>().filter(|o| o.sister().town().eq("Lima")).await.unwrap();
    assert_eq!(found, [north]);
    em.persist(NewSouthOffice { id: 2, town: "Lima".into() });
    let error = em.flush().await.unwrap_err();
    let Error::UniqueViolation { entity, properties, .. } = &error else { panic!("{error:?}") };
    assert_eq!((entity, properties.as_slice()), (&Some("SouthOffice"), &["town"][..]));
}

#[derive(Entity, Clone, Debug)]
#[unique(the_first_property_of_a_unique_constraint, the_second_property_of_a_unique_constraint)]
#[index(the_first_property_of_a_unique_constraint, the_third_property_of_a_unique_constraint)]
pub struct AnEntityWithANameThatIsMuchLongerThanAnyoneWouldLike {
    #[primary_key]
    pub id: i64,
    pub the_first_property_of_a_unique_constraint: i32,
    pub the_second_property_of_a_unique_constraint: i32,
    #[property(unique)]
    pub the_third_property_of_a_unique_constraint: i32,
}

#[tokio::test]
async fn names_of_constraints_that_would_be_cut_off_stay_different_and_known() {
    let fixture = Fixture::new(entities![AnEntityWithANameThatIsMuchLongerThanAnyoneWouldLike]).await;
    let names = constraints(&fixture).await;
    assert_eq!(names.len(), 3);
    assert!(names.iter().all(|name| name.len() <= 63), "{names:?}");
    let em = fixture.em();
    let add = |first, second, third| {
        em.persist(NewAnEntityWithANameThatIsMuchLongerThanAnyoneWouldLike {
            the_first_property_of_a_unique_constraint: first,
            the_second_property_of_a_unique_constraint: second,
            the_third_property_of_a_unique_constraint: third,
        })
    };
    add(1, 1, 1);
    em.flush().await.unwrap();
    let same = add(1, 1, 2);
    let error = em.flush().await.unwrap_err();
    let Error::UniqueViolation { properties, .. } = &error else { panic!("{error:?}") };
    assert_eq!(properties.len(), 2, "{error}");
    same.update(|e| {
        (e.the_second_property_of_a_unique_constraint, e.the_third_property_of_a_unique_constraint) = (2, 1)
    });
    let error = em.flush().await.unwrap_err();
    let Error::UniqueViolation { properties, .. } = &error else { panic!("{error:?}") };
    assert_eq!(properties, &["the_third_property_of_a_unique_constraint"]);
}

#[derive(Entity, Clone, Debug)]
#[entity(table = "a table whose name was given by hand and that is longer than the server keeps")]
pub struct TooLong {
    #[primary_key]
    pub id: i64,
    #[property(column = "übergroße Bezeichnungen zählen in Bytes, nicht in Zeichen, äöüß")]
    pub name: String,
}

#[tokio::test]
async fn a_name_given_by_hand_that_would_be_cut_off_is_reported() {
    let builder = Orm::builder().url("postgresql://nobody@127.0.0.1:1/nowhere").entity::<TooLong>();
    let Error::Metadata { problems } = builder.connect().await.unwrap_err() else { panic!("metadata") };
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].starts_with("TooLong: the name a table whose name was given by hand"), "{problems:?}");
    assert!(problems[1].ends_with("is 70 bytes long, and PostgreSQL keeps 63: give a shorter one"), "{problems:?}");
}

/// A strategy that calls all constraints of a kind the same.
#[derive(Debug)]
struct Short;

impl NamingStrategy for Short {
    fn constraint_name(&self, table: &str, _: &[&str], suffix: &str) -> String {
        format!("{table}_{suffix}")
    }
}

#[derive(Entity, Clone, Debug)]
#[unique(expression = "lower(name)", where = "id > 1")]
#[unique(expression = "lower( name )", where = "id < 1")]
pub struct Alias {
    #[primary_key(assigned)]
    pub id: i32,
    pub name: String,
}

#[tokio::test]
async fn indexes_over_expressions_that_cannot_be_told_apart_are_an_error() {
    let fixture = Fixture::new(entities![Alias]).await;
    let builder = Orm::builder().url(fixture.database.url()).naming_strategy(Short);
    let error = builder.entities(entities![Alias]).connect().await.unwrap_err().to_string();
    assert!(error.contains("Alias: there are two indexes called alias_unique"), "{error}");
}
