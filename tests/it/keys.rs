//! Keys of every kind: made by the database, by `persist`, by the program.

use crate::support::Fixture;
use howdah::prelude::*;
use howdah::{EntityKey, EntityMeta};

/// An entity with a key of one column and a reference to another one of its kind.
macro_rules! keyed {
    ($($name:ident($new:ident): $(#[$key:meta])* $type:ty;)*) => {$(
        #[derive(Entity, Clone, Debug)]
        pub struct $name {
            $(#[$key])*
            pub id: $type,
            pub name: String,
            #[many_to_one(inversed_by = children)]
            pub parent: Option<Ref<$name>>,
            #[one_to_many(mapped_by = parent)]
            pub children: Collection<$name>,
            #[many_to_many(inversed_by = friend_of)]
            pub friends: Collection<$name>,
            #[many_to_many(mapped_by = friends)]
            pub friend_of: Collection<$name>,
        }
    )*};
}

keyed! {
    SmallIdentity(NewSmallIdentity): #[primary_key] i16;
    NormalIdentity(NewNormalIdentity): #[primary_key] i32;
    BigIdentity(NewBigIdentity): #[primary_key] i64;
    TimeOrdered(NewTimeOrdered): #[primary_key] Uuid;
    MadeBySql(NewMadeBySql): #[primary_key(default = "gen_random_uuid()")] Uuid;
    Numbered(NewNumbered): #[primary_key(assigned)] i32;
    Named(NewNamed): #[primary_key] String;
    Short(NewShort): #[primary_key(length = 5)] String;
    Fixed(NewFixed): #[primary_key(sql_type = "char(5)")] String;
    Priced(NewPriced): #[primary_key(sql_type = "numeric(20)", assigned)] i64;
    Dated(NewDated): #[primary_key] NaiveDate;
    Timed(NewTimed): #[primary_key] DateTime<Utc>;
    Hashed(NewHashed): #[primary_key] Vec<u8>;
    Switched(NewSwitched): #[primary_key] bool;
}

/// Stories that every kind of key has to live through; `$a` and `$b` make two entities.
macro_rules! story {
    ($test:ident: $entity:ident, $a:expr, $b:expr) => {
        #[tokio::test]
        async fn $test() {
            let fixture = Fixture::new(entities![$entity]).await;
            let em = fixture.em();
            let (a, b) = (em.persist::<$entity>($a.into()), em.persist::<$entity>($b.into()));
            b.write().parent = Some(a.to_ref());
            a.write().friends.add(&b);
            em.flush().await.unwrap();
            assert_ne!(a.id(), b.id());
            assert_eq!(a.id(), a.read().id, "the key reaches the field");

            // Found by key, once a row; populated over every kind of relation.
            let em = fixture.em();
            fixture.forget();
            let populate = ["parent.friends", "children", "friends", "friend_of"];
            let found = em.find_one::<$entity>(b.id(), populate).await.unwrap().unwrap();
            assert_eq!(fixture.log.round_trips(), 1, "the parent is joined, the collections are asked for along");
            let parent = found.read().parent.as_ref().unwrap().get().unwrap();
            assert_eq!(parent.id(), a.id());
            assert_eq!(found.read().friend_of.items().unwrap(), [parent.clone()]);
            assert_eq!(parent.read().friends.items().unwrap(), [found.clone()]);
            assert!(found.read().children.is_empty().unwrap());
            assert_eq!(parent.load(&em, |e| e.children()).await.unwrap(), [found.clone()]);

            // In conditions: the key itself, lists, and behind relations without a join.
            let (id, fields) = (a.id(), $entity::fields);
            fixture.forget();
            assert_eq!(em.count::<$entity>(fields().id().eq(&id)).await.unwrap(), 1);
            assert_eq!(em.count::<$entity>(fields().id().is_in([&id, &b.id()])).await.unwrap(), 2);
            assert_eq!(em.count::<$entity>(id.clone()).await.unwrap(), 1);
            assert_eq!(em.count::<$entity>(fields().parent().eq(&parent)).await.unwrap(), 1);
            assert_eq!(em.count::<$entity>(fields().parent().eq(id.clone())).await.unwrap(), 1);
            assert_eq!(em.count::<$entity>(fields().parent().is_in([&parent, &found])).await.unwrap(), 1);
            assert_eq!(em.count::<$entity>(fields().parent().id().eq(&id)).await.unwrap(), 1);
            assert!(fixture.statements().iter().all(|sql| !sql.contains("JOIN")));
            assert_eq!(em.count::<$entity>(fields().friends().id().eq(&b.id())).await.unwrap(), 1);

            // Changed, unlinked, removed.
            found.write().name = "changed".into();
            found.write().parent = None;
            parent.write().friends.remove(&found);
            assert_eq!(em.flush().await.unwrap().updated, 1);
            let table = $entity::table();
            let changed = format!("SELECT count(*), count(parent_id) FROM {table} WHERE name = 'changed'");
            assert_eq!(fixture.rows(&changed).await, ["1|0"]);
            assert_eq!(fixture.rows(&format!("SELECT count(*) FROM {table}_friends")).await, ["0"]);
            em.remove(&parent);
            em.remove(&found);
            assert_eq!(em.flush().await.unwrap().deleted, 2);
            assert_eq!(fixture.rows(&format!("SELECT count(*) FROM {table}")).await, ["0"]);
            assert!(em.find_one::<$entity>(id, ()).await.unwrap().is_none());
        }
    };
}

/// The table of an entity with the default naming strategy.
trait Table {
    fn table() -> String;
}

impl<T: Entity> Table for T {
    fn table() -> String {
        howdah::NamingStrategy::table_name(&howdah::UnderscoreNamingStrategy, T::meta().name)
    }
}

macro_rules! name {
    ($name:expr) => {
        $name.to_owned()
    };
}

fn day(number: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2024, 2, number).unwrap()
}

fn moment(number: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(number, 123_456_000).unwrap()
}

story!(small_identity: SmallIdentity, NewSmallIdentity { name: name!("a") }, NewSmallIdentity { name: name!("b") });
story!(normal_identity: NormalIdentity, NewNormalIdentity { name: name!("a") }, NewNormalIdentity { name: name!("b") });
story!(big_identity: BigIdentity, NewBigIdentity { name: name!("a") }, NewBigIdentity { name: name!("b") });
story!(uuid_made_by_persist: TimeOrdered, NewTimeOrdered { name: name!("a") }, NewTimeOrdered { name: name!("b") });
story!(uuid_made_by_sql: MadeBySql, NewMadeBySql { name: name!("a") }, NewMadeBySql { name: name!("b") });
story!(assigned_number: Numbered, NewNumbered { id: 7, name: name!("a") }, NewNumbered { id: -7, name: name!("b") });
story!(text: Named, NewNamed { id: name!("ä'\""), name: name!("a") }, NewNamed { id: name!("A"), name: name!("b") });
story!(text_with_length: Short, NewShort { id: name!("12345"), name: name!("a") }, NewShort { id: name!("1"), name: name!("b") });
story!(text_of_fixed_length: Fixed, NewFixed { id: name!("12345"), name: name!("a") }, NewFixed { id: name!("abcde"), name: name!("b") });
story!(numeric: Priced, NewPriced { id: i64::MAX, name: name!("a") }, NewPriced { id: i64::MIN, name: name!("b") });
story!(date: Dated, NewDated { id: day(28), name: name!("a") }, NewDated { id: day(29), name: name!("b") });
story!(point_in_time: Timed, NewTimed { id: moment(1), name: name!("a") }, NewTimed { id: moment(-1), name: name!("b") });
story!(bytes: Hashed, NewHashed { id: vec![0, 255], name: name!("a") }, NewHashed { id: vec![1], name: name!("b") });
story!(boolean: Switched, NewSwitched { id: true, name: name!("a") }, NewSwitched { id: false, name: name!("b") });

#[tokio::test]
async fn a_uuid_is_made_by_persist_and_grows() {
    let fixture = Fixture::new(entities![TimeOrdered]).await;
    let em = fixture.em();
    let made: Vec<_> = (0..50).map(|n| em.persist(NewTimeOrdered { name: n.to_string() })).collect();
    assert!(made.iter().all(|entity| entity.id().get_version_num() == 7));
    assert!(made.windows(2).all(|pair| pair[0].id() < pair[1].id()));
    let created = em.create(NewTimeOrdered { name: "created".into() });
    assert!(created.id().is_nil(), "create() does not schedule and makes no key");
    let own = em.persist(TimeOrdered { id: Uuid::from_u128(5), ..NewTimeOrdered { name: "own".into() }.into() });
    em.flush().await.unwrap();
    assert_eq!(own.id(), Uuid::from_u128(5));
}

#[tokio::test]
async fn a_number_that_was_given_is_kept_by_an_identity_column() {
    let fixture = Fixture::new(entities![BigIdentity]).await;
    let em = fixture.em();
    let given = em.persist(BigIdentity { id: 500, ..NewBigIdentity { name: "given".into() }.into() });
    let made = em.persist(NewBigIdentity { name: "made".into() });
    em.flush().await.unwrap();
    assert_eq!(given.id(), 500);
    assert_eq!(fixture.rows("SELECT id FROM big_identity WHERE name = 'made'").await, [made.id().to_string()]);
}

#[tokio::test]
async fn a_key_that_is_too_long_for_its_column_is_refused_and_never_cut_off() {
    let fixture = Fixture::new(entities![Short, Fixed]).await;
    let em = fixture.em();
    em.persist(NewFixed { id: "12345".into(), name: "there".into() });
    em.flush().await.unwrap();
    assert!(fixture.em().find_one::<Fixed>("1234567", ()).await.unwrap().is_none(), "not the row 12345");
    assert_eq!(em.count::<Fixed>(Fixed::fields().id().eq("1234567")).await.unwrap(), 0);
    for too_long in ["123456", "1234567"] {
        let em = fixture.em();
        em.persist(NewFixed { id: too_long.into(), name: "x".into() });
        assert_eq!(em.flush().await.unwrap_err().sqlstate(), Some("22001"));
        let em = fixture.em();
        em.persist(NewShort { id: too_long.into(), name: "x".into() });
        assert_eq!(em.flush().await.unwrap_err().sqlstate(), Some("22001"));
    }
    assert_eq!(fixture.rows("SELECT id FROM fixed").await, ["12345"]);
}

#[tokio::test]
async fn keys_are_compared_by_value_not_by_width() {
    assert_eq!(1_i16.to_key(), 1_i64.to_key());
    assert_eq!((1_i32, "a".to_owned()).to_key().to_string(), "(1, a)");
    let metas: [&EntityMeta; 2] = entities![SmallIdentity, Switched];
    assert_eq!((metas[0].key_types)()[0].name, "int2");
    assert_eq!((metas[1].key_types)()[0].name, "bool");
}
