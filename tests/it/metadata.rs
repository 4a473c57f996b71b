//! What only the whole model can tell is reported at `connect`: all problems at once, before anything is connected to.

use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;
use howdah::{EntityCaseNamingStrategy, EntityMeta, PropertyKind};

/// The problems of some entities. No server is there to be asked.
async fn problems(entities: impl IntoIterator<Item = &'static EntityMeta>) -> Vec<String> {
    let builder = Orm::builder().url("postgresql://nobody@127.0.0.1:1/nowhere").entities(entities);
    match builder.connect().await.unwrap_err() {
        Error::Metadata { problems } => problems,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn entities_that_are_referred_to_must_be_among_the_entities() {
    let found = problems(entities![Book, Profile]).await;
    assert_eq!(
        found,
        [
            "Book.author refers to Author, which is not among the entities of this Orm",
            "Book.shelf refers to Shelf, which is not among the entities of this Orm",
            "Book.tags refers to Tag, which is not among the entities of this Orm",
            "Profile.author refers to Author, which is not among the entities of this Orm",
        ]
    );
    let error =
        Orm::builder().url("postgresql://x@127.0.0.1:1/x").entities(entities![Book]).connect().await.unwrap_err();
    assert!(error.to_string().starts_with("the entities do not fit together:\n  - Book.author refers to"), "{error}");
}

#[tokio::test]
async fn an_empty_list_a_repeated_entity_and_a_repeated_name_are_reported() {
    mod elsewhere {
        use howdah::prelude::*;

        #[derive(Entity, Clone, Debug)]
        #[entity(table = "other_profile")]
        pub struct Shelf {
            #[primary_key]
            pub id: i64,
        }
    }
    assert!(problems([]).await[0].starts_with("there are no entities"));
    let found = problems(library().into_iter().chain(entities![Tag])).await;
    assert_eq!(found, ["entity Tag is listed twice"]);
    let found = problems(library().into_iter().chain(entities![elsewhere::Shelf])).await;
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("there are two entities called Shelf: at tests/it/library.rs:"), "{found:?}");
    assert!(found[0].contains(" and at tests/it/metadata.rs:"), "{found:?}");
}

mod names {
    //! Tables and columns that two things want to have.
    use super::*;

    #[derive(Entity, Clone, Debug)]
    #[entity(table = "person")]
    #[index(name, name = "person_name")]
    pub struct Customer {
        #[primary_key]
        pub id: i64,
        pub name: String,
        #[property(column = "name")]
        pub title: String,
        #[many_to_one]
        pub boss: Option<Ref<Customer>>,
        pub boss_id: Option<i64>,
        #[many_to_one(columns("a", "b"))]
        pub agent: Option<Ref<Employee>>,
        #[many_to_many(pivot_table = "friendship")]
        pub friends: Collection<Employee>,
    }

    #[derive(Entity, Clone, Debug)]
    #[entity(table = "person")]
    #[index(name, name = "person_name")]
    pub struct Employee {
        #[primary_key]
        pub id: i64,
        pub name: String,
        #[many_to_many(pivot_table = "friendship")]
        pub customers: Collection<Customer>,
    }
}

#[tokio::test]
async fn names_that_collide_are_all_reported_at_once() {
    let found = problems(entities![names::Customer, names::Employee]).await;
    assert_eq!(
        found,
        [
            "Customer and Employee both map the table person",
            "Customer: name and title both map the column name",
            "Customer: boss and boss_id both map the column boss_id",
            "Customer.agent names 2 columns, but the key of Employee has 1",
            "Customer.friends: both sides are the column person_id of the pivot table friendship: name them with \
             join_column and inverse_join_column",
            "Employee.customers: both sides are the column person_id of the pivot table friendship: name them with \
             join_column and inverse_join_column",
            "Customer.friends and Employee.customers both use the pivot table friendship: name one with pivot_table, or \
             make one of them the inverse side with mapped_by",
            "Employee: there are two indexes called person_name",
        ]
    );
}

mod sides {
    //! Sides of relations that do not belong together, as far as the compiler cannot see it.
    use super::*;

    #[derive(Entity, Clone, Debug)]
    pub struct Husband {
        #[primary_key]
        pub id: i64,
        #[one_to_one(mapped_by = husband)]
        pub wife: Option<Ref<Wife>>,
        #[many_to_many(mapped_by = godfathers)]
        pub godchildren: Collection<Wife>,
        #[one_to_many(mapped_by = husband)]
        pub wives: Collection<Wife>,
    }

    #[derive(Entity, Clone, Debug)]
    pub struct Wife {
        #[primary_key]
        pub id: i64,
        #[one_to_one(mapped_by = wife)]
        pub husband: Option<Ref<Husband>>,
        #[many_to_many(mapped_by = godchildren)]
        pub godfathers: Collection<Husband>,
    }

    #[derive(Entity, Clone, Debug)]
    pub struct Child {
        #[primary_key]
        pub id: i64,
        #[many_to_one(inversed_by = pupils)]
        pub teacher: Ref<Teacher>,
    }

    #[derive(Entity, Clone, Debug)]
    pub struct Teacher {
        #[primary_key]
        pub id: i64,
        #[one_to_many(mapped_by = teacher)]
        pub pupils: Collection<Child>,
        #[one_to_many(mapped_by = teacher)]
        pub favourites: Collection<Child>,
    }

    #[derive(Entity, Clone, Debug)]
    pub struct Owner {
        #[primary_key]
        pub id: i64,
        #[many_to_many]
        pub pets: Collection<Pet>,
    }

    #[derive(Entity, Clone, Debug)]
    pub struct Pet {
        #[primary_key]
        pub id: i64,
        #[many_to_one(inversed_by = pets)]
        pub owner: Ref<Owner>,
    }
}

#[tokio::test]
async fn sides_of_relations_that_do_not_fit_are_all_reported_at_once() {
    use sides::*;
    let found = problems(entities![Husband, Wife, Child, Teacher, Owner, Pet]).await;
    assert_eq!(
        found,
        [
            "Husband.wife and Wife.husband are both inverse sides: one of them must own the relation",
            "Husband.godchildren and Wife.godfathers are both inverse sides: one of them must own the relation",
            "Husband.wives and Wife.husband are not the two sides of one relation",
            "Wife.husband and Husband.wife are both inverse sides: one of them must own the relation",
            "Wife.godfathers and Husband.godchildren are both inverse sides: one of them must own the relation",
            "Teacher.pupils and Teacher.favourites are all mapped_by Child.teacher: a relation has one inverse side",
            "Pet.owner and Owner.pets are not the two sides of one relation",
        ]
    );
}

mod one_sided {
    //! Each owning side leaves it to the inverse side to name the other.
    use super::*;

    #[derive(Entity, Clone, Debug)]
    pub struct House {
        #[primary_key]
        pub id: i64,
        #[one_to_many(mapped_by = house)]
        pub rooms: Collection<Room>,
        #[one_to_one(mapped_by = house)]
        pub garden: Option<Ref<Garden>>,
        #[many_to_many(mapped_by = houses)]
        pub visitors: Collection<Visitor>,
    }

    #[derive(Entity, Clone, Debug)]
    pub struct Room {
        #[primary_key]
        pub id: i64,
        #[many_to_one]
        pub house: Ref<House>,
    }

    #[derive(Entity, Clone, Debug)]
    pub struct Garden {
        #[primary_key]
        pub id: i64,
        #[one_to_one]
        pub house: Ref<House>,
    }

    #[derive(Entity, Clone, Debug)]
    pub struct Visitor {
        #[primary_key]
        pub id: i64,
        #[many_to_many]
        pub houses: Collection<House>,
    }
}

#[tokio::test]
async fn the_owning_side_need_not_name_the_inverse_side() {
    use one_sided::*;
    let fixture = Fixture::new(entities![House, Room, Garden, Visitor]).await;
    let em = fixture.em();
    let house = em.persist(NewHouse {});
    let room = em.persist(NewRoom { house: house.to_ref() });
    let garden = em.persist(NewGarden { house: house.to_ref() });
    let visitor = em.persist(NewVisitor {});
    visitor.write().houses.add(&house);
    em.flush().await.unwrap();
    // Both sides know of what was written to one of them.
    assert_eq!(house.read().rooms.items().unwrap(), [room.clone()]);
    assert_eq!(house.read().visitors.items().unwrap(), [visitor.clone()]);
    assert_eq!(house.read().garden.as_ref().unwrap().get().unwrap(), garden);
    let em = fixture.em();
    let read = em.find_one_or_fail::<House>(house.id(), ["rooms", "garden", "visitors.houses"]).await.unwrap();
    assert_eq!(read.read().rooms.items().unwrap()[0].id(), room.id());
    assert_eq!(read.read().garden.as_ref().unwrap().get().unwrap().id(), garden.id());
    assert_eq!(read.read().visitors.items().unwrap()[0].read().houses.items().unwrap(), [read.clone()]);
    let lonely = House::fields().visitors().is_empty() | House::fields().rooms().is_empty();
    assert_eq!(em.count::<House>(lonely).await.unwrap(), 0);
}

#[tokio::test]
async fn an_entity_that_this_orm_does_not_know_is_refused_where_it_is_used() {
    let fixture =
        Fixture::new(entities![one_sided::House, one_sided::Room, one_sided::Garden, one_sided::Visitor]).await;
    let em = fixture.em();
    for error in [
        em.find_all::<Tag>().await.unwrap_err(),
        em.find_one::<Tag>(Uuid::nil(), ()).await.unwrap_err(),
        em.count::<Tag>(()).await.unwrap_err(),
    ] {
        assert_eq!(error.to_string(), "Tag is not among the entities of this Orm: add it to entities(…)");
    }
    em.persist(NewTag { name: "unknown".into() });
    let error = em.flush().await.unwrap_err();
    assert!(matches!(error, Error::Validation { entity: Some("Tag"), .. }), "{error}");
    assert!(fixture.statements().is_empty());
}

#[tokio::test]
async fn the_description_of_an_entity_is_plain_data() {
    let meta = Book::meta();
    assert_eq!(meta.name, "Book");
    assert!(meta.source.starts_with("tests/it/library.rs:"));
    let names: Vec<&str> = meta.properties.iter().map(|property| property.name).collect();
    assert_eq!(names, ["id", "title", "pages", "version", "author", "shelf", "tags"]);
    let PropertyKind::Column(pages) = &meta.properties[2].kind else { panic!("a column") };
    assert!(pages.nullable && pages.check == Some("pages > 0"));
    let author = meta.properties[4].as_relation().unwrap();
    assert_eq!(((author.target)().name, author.inversed_by, author.nullable), ("Author", Some("books"), false));
    // entity() adds one, entities() several.
    let builder = Orm::builder().url("postgresql://nobody@127.0.0.1:1/nowhere").entity::<Tag>().entity::<Shelf>();
    let Error::Metadata { problems } = builder.entities([]).connect().await.unwrap_err() else { panic!("metadata") };
    assert_eq!(problems.len(), 2, "Tag.books and Shelf.books lead to Book");
}

#[tokio::test]
async fn a_strategy_may_make_names_collide_and_that_is_reported_too() {
    mod shouting {
        use howdah::prelude::*;

        #[derive(Entity, Clone, Debug)]
        pub struct Seat {
            #[primary_key]
            pub id: i64,
            #[many_to_one]
            pub row: Option<Ref<Seat>>,
            #[property(column = "row")]
            pub label: String,
        }
    }
    let builder = Orm::builder().url("postgresql://nobody@127.0.0.1:1/nowhere").entity::<shouting::Seat>();
    let error = builder.naming_strategy(EntityCaseNamingStrategy).connect().await.unwrap_err();
    assert!(error.to_string().contains("Seat: row and label both map the column row"), "{error}");
}
