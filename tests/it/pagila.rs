//! The Pagila database, which nobody here wrote: a partitioned table, an enum, a domain, arrays, text search. What queries
//! answer is what plain SQL answers. Skipped, with a message, where the data is not there.

mod entities;
mod load;

use howdah::functions::{count, dense_rank, raw};
use howdah::prelude::*;

use crate::support::Fixture;
use entities::*;
use load::pagila;

/// The rows of a query, in the form of [`Fixture::rows`].
fn lines<R>(rows: Vec<R>, line: impl Fn(R) -> String) -> Vec<String> {
    rows.into_iter().map(line).collect()
}

fn or_null<V: ToString>(value: Option<V>) -> String {
    value.map_or_else(|| "~".to_owned(), |value| value.to_string())
}

async fn check(fixture: &Fixture, rows: Vec<String>, sql: &str) {
    assert!(!rows.is_empty(), "{sql}");
    assert_eq!(rows, fixture.rows(sql).await, "{sql}");
}

#[tokio::test]
async fn partitions_are_one_table() {
    let Some(fixture) = pagila().await else { return };
    let em = fixture.em();
    let month =
        |p: &PaymentFields| raw("to_char(? AT TIME ZONE 'UTC', 'YYYY-MM')", (p.payment_date(),)).as_::<String>();
    let revenue = em
        .query::<Payment>()
        .group_by(|p| (month(&p), p.staff().store().id()))
        .select(|p| {
            let total = p.amount().sum();
            let rank = dense_rank().over(|w| w.partition_by(month(&p)).order_by(total.desc()));
            (month(&p), p.staff().store().id(), count(), total, rank)
        })
        .order_by_result(|columns| (columns.0.asc(), columns.1.asc()))
        .await
        .unwrap();
    let rows = lines(revenue, |(month, store, payments, total, rank)| {
        format!("{month}|{store}|{payments}|{:.2}|{rank}", total.unwrap_or_default())
    });
    check(
        &fixture,
        rows,
        "SELECT to_char(payment_date AT TIME ZONE 'UTC', 'YYYY-MM'), store_id, count(*), sum(amount),
                dense_rank() OVER (PARTITION BY to_char(payment_date AT TIME ZONE 'UTC', 'YYYY-MM') ORDER BY sum(amount) DESC)
         FROM payment JOIN staff USING (staff_id) GROUP BY 1, 2 ORDER BY 1, 2",
    )
    .await;
    // Rows of a partition are entities by their two-part key, and are locked in the partition.
    let payments =
        em.query::<Payment>().filter(|p| p.customer().id().eq(3)).order_by(|p| p.payment_date().desc()).limit(2);
    let found = payments.await.unwrap();
    assert_eq!(em.find_one::<Payment>(found[0].id(), ()).await.unwrap().as_ref(), Some(&found[0]));
    em.transactional(async |em| {
        let locked = em.query::<Payment>().filter(|p| p.id().eq(found[1].id().1)).lock(LockMode::PessimisticWrite);
        assert_eq!(locked.await?, [found[1].clone()]);
        Ok::<_, howdah::Error>(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn enums_and_domains_are_selected_and_grouped_by() {
    let Some(fixture) = pagila().await else { return };
    let em = fixture.em();
    let ratings = em
        .query::<Film>()
        .filter(|f| f.release_year().eq(2006).and(f.rating().is_in([Rating::G, Rating::Pg13, Rating::Nc17])))
        .group_by(|f| f.rating())
        .select(|f| (f.rating(), count(), f.length().avg(), f.rental_rate().max(), f.rating().min()))
        .order_by(|f| f.rating().desc())
        .await
        .unwrap();
    assert_eq!(ratings[0].0, Some(Rating::Nc17));
    let rows = lines(ratings, |(rating, films, length, rate, _)| {
        format!(
            "{}|{films}|{:.3}|{:.2}",
            or_null(rating.map(label)),
            length.unwrap_or_default(),
            rate.unwrap_or_default()
        )
    });
    check(
        &fixture,
        rows,
        "SELECT rating, count(*), round(avg(length), 3), max(rental_rate) FROM film
         WHERE release_year = 2006 AND rating IN ('G', 'PG-13', 'NC-17') GROUP BY rating ORDER BY rating DESC",
    )
    .await;
}

#[tokio::test]
async fn arrays_are_searched_and_put_together() {
    let Some(fixture) = pagila().await else { return };
    let em = fixture.em();
    let films = em
        .query::<Film>()
        .filter(|f| f.special_features().contains(["Trailers", "Commentaries"]))
        .group_by(|f| f.language().name())
        .select(|f| {
            let titles = f.title().array_agg().order_by(f.id().desc()).filter(f.length().lt(50_i16));
            (f.language().name(), count(), titles)
        })
        .order_by(|f| f.language().name().asc())
        .await
        .unwrap();
    let rows = lines(films, |(language, films, titles)| {
        format!("{}|{films}|{}", language.trim_end(), or_null(titles.map(|titles| titles.join(","))))
    });
    check(
        &fixture,
        rows,
        "SELECT rtrim(l.name), count(*),
                array_to_string(array_agg(title ORDER BY film_id DESC) FILTER (WHERE length < 50), ',')
         FROM film f JOIN language l USING (language_id)
         WHERE special_features @> ARRAY['Trailers', 'Commentaries'] GROUP BY l.name ORDER BY l.name",
    )
    .await;
}

#[tokio::test]
async fn text_is_searched() {
    let Some(fixture) = pagila().await else { return };
    let em = fixture.em();
    let ranked = |f: &FilmFields| {
        raw("ts_rank(fulltext, to_tsquery('english', ?))::float8", ("astronaut & monkey",))
            .as_::<f64>()
            .nullable()
            .coalesce(f.rental_rate())
    };
    let found = em
        .query::<Film>()
        .filter(|_| raw("fulltext @@ to_tsquery('english', ?)", ("astronaut & monkey",)).condition())
        .order_by(|f| (ranked(&f).desc(), f.id().asc()))
        .select(|f| (f.id(), f.title()))
        .await
        .unwrap();
    let rows = lines(found, |(id, title)| format!("{id}|{title}"));
    check(
        &fixture,
        rows,
        "SELECT film_id, title FROM film WHERE fulltext @@ to_tsquery('english', 'astronaut & monkey')
         ORDER BY ts_rank(fulltext, to_tsquery('english', 'astronaut & monkey')) DESC, film_id",
    )
    .await;
}

#[derive(Projection, Debug)]
#[projection(entity = Film)]
struct FilmCard {
    title: String,
    rating: Option<Rating>,
    #[projection(rename = "language.name")]
    language: String,
    special_features: Option<Vec<String>>,
    categories: Vec<CategoryCard>,
    actors: Vec<ActorCard>,
}

#[derive(Projection, Debug)]
struct CategoryCard {
    name: String,
}

#[derive(Projection, Debug)]
struct ActorCard {
    first_name: String,
    last_name: String,
}

#[tokio::test]
async fn films_with_their_actors_are_one_statement() {
    let Some(fixture) = pagila().await else { return };
    fixture.forget();
    let films = fixture.em().find::<Film>().order_by(|f| f.id().asc()).limit(200).into::<FilmCard>().await.unwrap();
    assert_eq!((films.len(), fixture.log.round_trips()), (200, 1));
    let rows = lines(films, |film| {
        let actors: Vec<String> = film.actors.iter().map(|a| format!("{} {}", a.first_name, a.last_name)).collect();
        let categories: Vec<&str> = film.categories.iter().map(|category| category.name.as_str()).collect();
        let features = film.special_features.unwrap_or_default().join(",");
        let (title, rating, language) =
            (film.title, or_null(film.rating.map(label)), film.language.trim_end().to_owned());
        format!("{title}|{rating}|{language}|{features}|{}|{}", categories.join(","), actors.join(","))
    });
    check(
        &fixture,
        rows,
        "SELECT f.title, f.rating, rtrim(l.name), coalesce(array_to_string(special_features, ','), ''),
                (SELECT string_agg(c.name, ',') FROM film_category JOIN category c USING (category_id) WHERE film_id = f.film_id),
                coalesce((SELECT string_agg(a.first_name || ' ' || a.last_name, ',' ORDER BY a.actor_id)
                          FROM film_actor JOIN actor a USING (actor_id) WHERE film_id = f.film_id), '')
         FROM film f JOIN language l USING (language_id) ORDER BY film_id LIMIT 200",
    )
    .await;
}

#[tokio::test]
async fn what_is_rented_out_is_found_by_joins() {
    let Some(fixture) = pagila().await else { return };
    let em = fixture.em();
    let out = em
        .query::<Rental>()
        .filter(|r| r.return_date().is_null())
        .group_by(|r| r.inventory().film().title())
        .having(|r| r.id().count().gte(2))
        .select(|r| {
            (r.inventory().film().title(), count(), r.customer().last_name().string_agg(",").order_by(r.id().asc()))
        })
        .order_by_result(|(title, _, _)| title.asc())
        .await
        .unwrap();
    let rows = lines(out, |(title, copies, names)| format!("{title}|{copies}|{}", or_null(names)));
    check(
        &fixture,
        rows,
        "SELECT f.title, count(*), string_agg(c.last_name, ',' ORDER BY r.rental_id)
         FROM rental r JOIN inventory USING (inventory_id) JOIN film f USING (film_id) JOIN customer c ON c.customer_id = r.customer_id
         WHERE return_date IS NULL GROUP BY f.title HAVING count(*) >= 2 ORDER BY f.title",
    )
    .await;
}

#[tokio::test]
async fn plain_sql_is_read_into_entities_of_the_same_types() {
    let Some(fixture) = pagila().await else { return };
    let em = fixture.em();
    let text =
        "SELECT * FROM film WHERE rating = ?::mpaa_rating AND ? = ANY(special_features) ORDER BY film_id LIMIT ?";
    let films = em.sql(text, &[&"NC-17", &"Trailers", &3_i64]).into_entities::<Film>().await.unwrap();
    assert_eq!(films.len(), 3);
    assert!(films.iter().all(|film| film.read().rating == Some(Rating::Nc17)));
    let again = em.find_one::<Film>(films[0].id(), ()).await.unwrap();
    assert_eq!(again.as_ref(), Some(&films[0]));
    let sum = em.sql("SELECT sum(amount)::float8, min(payment_date) FROM payment", &[]);
    let (total, first) = sum.map_to::<(f64, DateTime<Utc>)>().one_or_fail().await.unwrap();
    assert!(total > 60_000.0 && first.to_rfc3339().starts_with("2022-01"), "{total} {first}");
}
