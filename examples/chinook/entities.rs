//! The eleven tables of the Chinook database as entities: a shop that sells music.
//!
//! The names of columns are those of the script, so they are written down where the naming strategy would choose others.
//! Lengths and types are only used when tables are made; they are here so that the entities describe the same tables as
//! the script.
//!
//! Money is `numeric(10,2)` in the database and an `f64` here, because there is no decimal type among the types of columns.
//! `sql_type` makes the statements convert in both directions. Ten digits survive that, and so do sums of some thousands of
//! them, if they are rounded to two digits where they are shown.

use howdah::prelude::*;

#[derive(Entity, Clone, Debug)]
pub struct Artist {
    #[primary_key(column = "artist_id")]
    pub id: i32,
    #[property(length = 120)]
    pub name: Option<String>,
    #[one_to_many(mapped_by = artist)]
    pub albums: Collection<Album>,
}

#[derive(Entity, Clone, Debug)]
pub struct Album {
    #[primary_key(column = "album_id")]
    pub id: i32,
    #[property(length = 160)]
    pub title: String,
    #[many_to_one(inversed_by = albums, column = "artist_id")]
    pub artist: Ref<Artist>,
    #[one_to_many(mapped_by = album)]
    pub tracks: Collection<Track>,
}

#[derive(Entity, Clone, Debug)]
pub struct Genre {
    #[primary_key(column = "genre_id")]
    pub id: i32,
    #[property(length = 120)]
    pub name: Option<String>,
    #[one_to_many(mapped_by = genre)]
    pub tracks: Collection<Track>,
}

#[derive(Entity, Clone, Debug)]
pub struct MediaType {
    #[primary_key(column = "media_type_id")]
    pub id: i32,
    #[property(length = 120)]
    pub name: Option<String>,
}

#[derive(Entity, Clone, Debug)]
pub struct Track {
    #[primary_key(column = "track_id")]
    pub id: i32,
    #[property(length = 200)]
    pub name: String,
    #[many_to_one(inversed_by = tracks, column = "album_id")]
    pub album: Option<Ref<Album>>,
    #[many_to_one(column = "media_type_id")]
    pub media_type: Ref<MediaType>,
    #[many_to_one(inversed_by = tracks, column = "genre_id")]
    pub genre: Option<Ref<Genre>>,
    #[property(length = 220)]
    pub composer: Option<String>,
    pub milliseconds: i32,
    pub bytes: Option<i32>,
    #[property(sql_type = "numeric(10,2)")]
    pub unit_price: f64,
    #[one_to_many(mapped_by = track)]
    pub invoice_lines: Collection<InvoiceLine>,
    #[many_to_many(mapped_by = tracks)]
    pub playlists: Collection<Playlist>,
}

#[derive(Entity, Clone, Debug)]
pub struct Playlist {
    #[primary_key(column = "playlist_id")]
    pub id: i32,
    #[property(length = 120)]
    pub name: Option<String>,
    /// The pivot table is also the table of [`PlaylistTrack`].
    #[many_to_many(
        inversed_by = playlists,
        pivot_table = "playlist_track",
        join_column = "playlist_id",
        inverse_join_column = "track_id"
    )]
    pub tracks: Collection<Track>,
}

/// One track of one playlist. Its key is made of two relations: `PlaylistTrack::Id` is `(i32, i32)`.
#[derive(Entity, Clone, Debug)]
pub struct PlaylistTrack {
    #[primary_key]
    #[many_to_one(column = "playlist_id")]
    pub playlist: Ref<Playlist>,
    #[primary_key]
    #[many_to_one(column = "track_id")]
    pub track: Ref<Track>,
}

#[derive(Entity, Clone, Debug)]
pub struct Employee {
    #[primary_key(column = "employee_id")]
    pub id: i32,
    #[property(length = 20)]
    pub last_name: String,
    #[property(length = 20)]
    pub first_name: String,
    #[property(length = 30)]
    pub title: Option<String>,
    #[many_to_one(inversed_by = reports, column = "reports_to")]
    pub reports_to: Option<Ref<Employee>>,
    pub birth_date: Option<NaiveDateTime>,
    pub hire_date: Option<NaiveDateTime>,
    #[property(length = 70)]
    pub address: Option<String>,
    #[property(length = 40)]
    pub city: Option<String>,
    #[property(length = 40)]
    pub state: Option<String>,
    #[property(length = 40)]
    pub country: Option<String>,
    #[property(length = 10)]
    pub postal_code: Option<String>,
    #[property(length = 24)]
    pub phone: Option<String>,
    #[property(length = 24)]
    pub fax: Option<String>,
    #[property(length = 60)]
    pub email: Option<String>,
    #[one_to_many(mapped_by = reports_to)]
    pub reports: Collection<Employee>,
    #[one_to_many(mapped_by = support_rep)]
    pub customers: Collection<Customer>,
}

#[derive(Entity, Clone, Debug)]
pub struct Customer {
    #[primary_key(column = "customer_id")]
    pub id: i32,
    #[property(length = 40)]
    pub first_name: String,
    #[property(length = 20)]
    pub last_name: String,
    #[property(length = 80)]
    pub company: Option<String>,
    #[property(length = 70)]
    pub address: Option<String>,
    #[property(length = 40)]
    pub city: Option<String>,
    #[property(length = 40)]
    pub state: Option<String>,
    #[property(length = 40)]
    pub country: Option<String>,
    #[property(length = 10)]
    pub postal_code: Option<String>,
    #[property(length = 24)]
    pub phone: Option<String>,
    #[property(length = 24)]
    pub fax: Option<String>,
    #[property(length = 60)]
    pub email: String,
    #[many_to_one(inversed_by = customers, column = "support_rep_id")]
    pub support_rep: Option<Ref<Employee>>,
    #[one_to_many(mapped_by = customer)]
    pub invoices: Collection<Invoice>,
}

#[derive(Entity, Clone, Debug)]
pub struct Invoice {
    #[primary_key(column = "invoice_id")]
    pub id: i32,
    #[many_to_one(inversed_by = invoices, column = "customer_id")]
    pub customer: Ref<Customer>,
    pub invoice_date: NaiveDateTime,
    #[property(length = 70)]
    pub billing_address: Option<String>,
    #[property(length = 40)]
    pub billing_city: Option<String>,
    #[property(length = 40)]
    pub billing_state: Option<String>,
    #[property(length = 40)]
    pub billing_country: Option<String>,
    #[property(length = 10)]
    pub billing_postal_code: Option<String>,
    #[property(sql_type = "numeric(10,2)")]
    pub total: f64,
    #[one_to_many(mapped_by = invoice)]
    pub lines: Collection<InvoiceLine>,
}

#[derive(Entity, Clone, Debug)]
pub struct InvoiceLine {
    #[primary_key(column = "invoice_line_id")]
    pub id: i32,
    #[many_to_one(inversed_by = lines, column = "invoice_id")]
    pub invoice: Ref<Invoice>,
    #[many_to_one(inversed_by = invoice_lines, column = "track_id")]
    pub track: Ref<Track>,
    #[property(sql_type = "numeric(10,2)")]
    pub unit_price: f64,
    pub quantity: i32,
}

/// All eleven.
pub fn chinook() -> [&'static howdah::EntityMeta; 11] {
    entities![Artist, Album, Genre, MediaType, Track, Playlist, PlaylistTrack, Employee, Customer, Invoice, InvoiceLine]
}
