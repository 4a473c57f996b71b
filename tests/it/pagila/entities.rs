//! Some tables of Pagila as entities. Money is `numeric` there and `f64` here.

use howdah::prelude::*;

#[derive(DbEnum, Clone, Copy, Debug, PartialEq)]
#[db_enum(native, name = "mpaa_rating")]
pub enum Rating {
    G,
    #[db_enum(rename = "PG")]
    Pg,
    #[db_enum(rename = "PG-13")]
    Pg13,
    R,
    #[db_enum(rename = "NC-17")]
    Nc17,
}

/// The rating, as it is called in the database.
pub fn label(rating: Rating) -> &'static str {
    match rating {
        Rating::G => "G",
        Rating::Pg => "PG",
        Rating::Pg13 => "PG-13",
        Rating::R => "R",
        Rating::Nc17 => "NC-17",
    }
}

#[derive(Entity, Clone, Debug)]
pub struct Film {
    #[primary_key(column = "film_id")]
    pub id: i32,
    pub title: String,
    pub description: Option<String>,
    /// The domain `year`.
    #[property(sql_type = "year")]
    pub release_year: Option<i32>,
    #[many_to_one(column = "language_id")]
    pub language: Ref<Language>,
    pub rental_duration: i16,
    #[property(sql_type = "numeric(4,2)")]
    pub rental_rate: f64,
    pub length: Option<i16>,
    pub rating: Option<Rating>,
    pub special_features: Option<Vec<String>>,
    #[many_to_many(inversed_by = films, pivot_table = "film_actor", join_column = "film_id", inverse_join_column = "actor_id")]
    pub actors: Collection<Actor>,
    #[many_to_many(pivot_table = "film_category", join_column = "film_id", inverse_join_column = "category_id")]
    pub categories: Collection<Category>,
}

#[derive(Entity, Clone, Debug)]
pub struct Actor {
    #[primary_key(column = "actor_id")]
    pub id: i32,
    pub first_name: String,
    pub last_name: String,
    #[many_to_many(mapped_by = actors)]
    pub films: Collection<Film>,
}

#[derive(Entity, Clone, Debug)]
pub struct Category {
    #[primary_key(column = "category_id")]
    pub id: i32,
    pub name: String,
}

/// Its name is a `character(20)`.
#[derive(Entity, Clone, Debug)]
pub struct Language {
    #[primary_key(column = "language_id")]
    pub id: i32,
    pub name: String,
}

#[derive(Entity, Clone, Debug)]
pub struct Store {
    #[primary_key(column = "store_id")]
    pub id: i32,
}

#[derive(Entity, Clone, Debug)]
pub struct Staff {
    #[primary_key(column = "staff_id")]
    pub id: i32,
    pub first_name: String,
    #[many_to_one(column = "store_id")]
    pub store: Ref<Store>,
}

#[derive(Entity, Clone, Debug)]
pub struct Customer {
    #[primary_key(column = "customer_id")]
    pub id: i32,
    pub first_name: String,
    pub last_name: String,
    pub email: Option<String>,
}

#[derive(Entity, Clone, Debug)]
pub struct Inventory {
    #[primary_key(column = "inventory_id")]
    pub id: i32,
    #[many_to_one(column = "film_id")]
    pub film: Ref<Film>,
}

#[derive(Entity, Clone, Debug)]
pub struct Rental {
    #[primary_key(column = "rental_id")]
    pub id: i32,
    pub rental_date: DateTime<Utc>,
    #[many_to_one(column = "inventory_id")]
    pub inventory: Ref<Inventory>,
    #[many_to_one(column = "customer_id")]
    pub customer: Ref<Customer>,
    pub return_date: Option<DateTime<Utc>>,
}

/// Partitioned by the date, which is a part of the key.
#[derive(Entity, Clone, Debug)]
pub struct Payment {
    #[primary_key]
    pub payment_date: DateTime<Utc>,
    #[primary_key(column = "payment_id")]
    pub id: i32,
    #[many_to_one(column = "customer_id")]
    pub customer: Ref<Customer>,
    #[many_to_one(column = "staff_id")]
    pub staff: Ref<Staff>,
    #[many_to_one(column = "rental_id")]
    pub rental: Ref<Rental>,
    #[property(sql_type = "numeric(5,2)")]
    pub amount: f64,
}

/// All of them.
pub fn entities() -> [&'static howdah::EntityMeta; 10] {
    howdah::entities![Film, Actor, Category, Language, Store, Staff, Customer, Inventory, Rental, Payment]
}
