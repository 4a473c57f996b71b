//! Questions that a shop asks of its numbers: groups, windows, common table expressions, in one statement each. No entity is
//! loaded for them.
//!
//! A report's rows are what the SQL next to it answers, as in [`reports`](super::reports).

use howdah::functions::{count, raw, row_number, value};
use howdah::prelude::*;
use howdah::{Alias, Expr};

use super::entities::*;
use super::reports::Report;

/// All questions, in the order in which they are printed.
pub async fn all(em: &EntityManager) -> Result<Vec<Report>, Error> {
    Ok(vec![
        revenue_by_country_and_month(em).await?,
        top_customers(em).await?,
        tracks_never_sold(em).await?,
        chain_of_command(em).await?,
        main_genre_of_playlists(em).await?,
        favourite_artists_of_countries(em).await?,
        customers_above_average(em).await?,
        growth_by_quarter(em).await?,
        albums_with_their_prices(em).await?,
        address_book(em).await?,
    ])
}

fn report(title: &'static str, rows: impl IntoIterator<Item = String>, sql: &'static str) -> Result<Report, Error> {
    Ok(Report { title, rows: rows.into_iter().collect(), sql })
}

fn text(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or("~")
}

fn money(value: Option<f64>) -> String {
    value.map_or_else(|| "~".to_owned(), |value| format!("{value:.2}"))
}

fn month(invoice: &InvoiceFields) -> Expr<Invoice, String> {
    raw("to_char(?, 'YYYY-MM')", (invoice.invoice_date(),)).as_()
}

/// An aggregate of groups, and a window over these groups.
async fn revenue_by_country_and_month(em: &EntityManager) -> Result<Report, Error> {
    let revenue = em
        .query::<Invoice>()
        .filter(|i| i.billing_country().is_in(["Portugal", "Norway"]))
        .group_by(|i| (i.billing_country(), month(&i)))
        .select(|i| {
            let total = i.total().sum();
            let so_far = total.sum().over(|w| w.partition_by(i.billing_country()).order_by(month(&i).asc()));
            (i.billing_country(), month(&i), total, so_far)
        })
        .order_by_result(|(country, month, _, _)| (country.asc(), month.asc()))
        .await?;
    let rows = revenue.into_iter().map(|(country, month, total, so_far)| {
        format!("{}|{month}|{}|{}", text(&country), money(total), money(so_far))
    });
    report(
        "revenue of two countries by month, and so far",
        rows,
        "SELECT billing_country, to_char(invoice_date, 'YYYY-MM'), sum(total),
       sum(sum(total)) OVER (PARTITION BY billing_country ORDER BY to_char(invoice_date, 'YYYY-MM'))
FROM invoice WHERE billing_country IN ('Portugal', 'Norway') GROUP BY 1, 2 ORDER BY 1, 2",
    )
}

/// Ranks over sums.
async fn top_customers(em: &EntityManager) -> Result<Report, Error> {
    let customers = em
        .query::<Invoice>()
        .group_by(|i| (i.customer(), i.customer().first_name(), i.customer().last_name()))
        .select(|i| {
            let total = i.total().sum();
            let rank = howdah::functions::rank().over(|w| w.order_by(total.desc()));
            (rank, i.customer(), i.customer().first_name(), i.customer().last_name(), count(), total)
        })
        .order_by_result(|columns| (columns.0.asc(), columns.1.asc()))
        .limit(10)
        .await?;
    let rows = customers.into_iter().map(|(rank, id, first, last, invoices, total)| {
        format!("{rank}|{id}|{first} {last}|{invoices}|{}", money(total))
    });
    report(
        "the ten customers who have spent most",
        rows,
        "SELECT rank() OVER (ORDER BY sum(i.total) DESC), c.customer_id, c.first_name || ' ' || c.last_name, count(*), sum(i.total)
FROM invoice i JOIN customer c USING (customer_id) GROUP BY c.customer_id ORDER BY 1, 2 LIMIT 10",
    )
}

/// Rows that no other row refers to.
async fn tracks_never_sold(em: &EntityManager) -> Result<Report, Error> {
    let genres = em
        .query::<Track>()
        .filter(|t| t.invoice_lines().is_empty())
        .group_by(|t| t.genre().name())
        .having(|_| count().gt(50))
        .select(|t| (t.genre().name(), count(), t.unit_price().sum()))
        .order_by_result(|(name, unsold, _)| (unsold.desc(), name.asc()))
        .await?;
    let rows = genres.into_iter().map(|(name, unsold, price)| format!("{}|{unsold}|{}", text(&name), money(price)));
    report(
        "tracks that nobody has bought, by genre",
        rows,
        "SELECT g.name, count(*), sum(t.unit_price) FROM track t LEFT JOIN genre g USING (genre_id)
WHERE NOT EXISTS (SELECT FROM invoice_line l WHERE l.track_id = t.track_id)
GROUP BY g.name HAVING count(*) > 50 ORDER BY 2 DESC, 1",
    )
}

/// A recursive common table expression: the rows that it ends with are joined to the employees.
async fn chain_of_command(em: &EntityManager) -> Result<Report, Error> {
    let heads = em.query::<Employee>().filter(|e| e.reports_to().is_null());
    let tree = heads.select(|e| (e.id(), value(0), e.last_name())).recursive("chain", |chain| {
        let (_, depth, path) = chain.columns();
        em.query::<Employee>()
            .join_with(chain, |e, (boss, _, _)| e.reports_to().id().eq(boss))
            .select(|e| (e.id(), depth + 1, path.concat(" > ").concat(e.last_name())))
    });
    let (_, depth, path) = tree.columns();
    let employees = em
        .query::<Employee>()
        .join_with(&tree, |e, (id, _, _)| e.id().eq(id))
        .select(|e| (depth, path, e.title(), e.customers().count()))
        .order_by_result(|(_, path, _, _)| path.asc())
        .await?;
    let rows = employees
        .into_iter()
        .map(|(depth, path, title, customers)| format!("{depth}|{path}|{}|{customers}", text(&title)));
    report(
        "who reports to whom, and who looks after how many customers",
        rows,
        "WITH RECURSIVE chain AS (
  SELECT employee_id, 0 AS depth, last_name::text AS path FROM employee WHERE reports_to IS NULL
  UNION ALL
  SELECT e.employee_id, depth + 1, path || ' > ' || e.last_name FROM employee e JOIN chain c ON e.reports_to = c.employee_id
)
SELECT depth, path, e.title, (SELECT count(*) FROM customer WHERE support_rep_id = e.employee_id)
FROM employee e JOIN chain USING (employee_id) ORDER BY path",
    )
}

/// The first row of each group.
async fn main_genre_of_playlists(em: &EntityManager) -> Result<Report, Error> {
    let playlists = em
        .query::<Playlist>()
        .join(|p| p.tracks().genre())
        .group_by(|p| (p.id(), p.name(), p.tracks().genre().name()))
        .distinct_on(|p| p.id())
        .select(|p| (p.id(), p.name(), p.tracks().genre().name(), p.tracks().id().count()))
        .order_by(|p| (p.id().asc(), p.tracks().id().count().desc(), p.tracks().genre().name().asc()))
        .await?;
    let rows = playlists
        .into_iter()
        .map(|(id, name, genre, tracks)| format!("{id}|{}|{}|{tracks}", text(&name), text(&genre)));
    report(
        "the playlists, and the genre that each has most tracks of",
        rows,
        "SELECT DISTINCT ON (p.playlist_id) p.playlist_id, p.name, g.name, count(t.track_id)
FROM playlist p JOIN playlist_track USING (playlist_id) JOIN track t USING (track_id) JOIN genre g USING (genre_id)
GROUP BY p.playlist_id, p.name, g.name ORDER BY p.playlist_id, 4 DESC, g.name",
    )
}

/// Numbered in a sub-query, and the first taken from it.
async fn favourite_artists_of_countries(em: &EntityManager) -> Result<Report, Error> {
    let sold = em
        .query::<InvoiceLine>()
        .group_by(|l| (l.invoice().billing_country(), l.track().album().artist().name()))
        .select(|l| {
            let country = l.invoice().billing_country();
            let artist = l.track().album().artist().name();
            let sold = l.quantity().sum();
            let place = row_number().over(|w| w.partition_by(country.clone()).order_by((sold.desc(), artist.asc())));
            (country, artist, sold, place)
        })
        .as_table();
    let (country, artist, quantity, place) = sold.columns();
    let favourites = em
        .query_from::<InvoiceLine, _>(&sold)
        .filter(|_| place.eq(1).and(quantity.gte(8)))
        .order_by(|_| country.asc())
        .select(|_| (country, artist, quantity))
        .await?;
    let rows = favourites
        .into_iter()
        .map(|(country, artist, sold)| format!("{}|{}|{}", text(&country), text(&artist), sold.unwrap_or_default()));
    report(
        "the artist that each country has bought most of",
        rows,
        "SELECT country, artist, sold FROM (
  SELECT i.billing_country AS country, r.name AS artist, sum(l.quantity) AS sold,
         row_number() OVER (PARTITION BY i.billing_country ORDER BY sum(l.quantity) DESC, r.name) AS place
  FROM invoice_line l JOIN invoice i USING (invoice_id) JOIN track USING (track_id)
       JOIN album USING (album_id) JOIN artist r USING (artist_id)
  GROUP BY i.billing_country, r.name
) s WHERE place = 1 AND sold >= 8 ORDER BY country",
    )
}

/// A common table expression that is used twice.
async fn customers_above_average(em: &EntityManager) -> Result<Report, Error> {
    let totals =
        em.query::<Invoice>().group_by(|i| i.customer()).select(|i| (i.customer(), i.total().sum())).as_cte("totals");
    let (_, each) = totals.columns::<Customer>();
    let average = em.query_from::<Customer, _>(&totals).select(|_| each.avg()).as_table();
    let (_, total) = totals.columns::<Customer>();
    let customers = em
        .query::<Customer>()
        .join_with(&totals, |c, (id, _)| c.id().eq(id))
        .cross_join(&average)
        .filter(|_| total.gt(average.columns() + 4.0))
        .select(|c| (c.id(), c.last_name(), c.country(), total.clone()))
        .order_by(|c| c.id().asc())
        .await?;
    let rows = customers
        .into_iter()
        .map(|(id, name, country, total)| format!("{id}|{name}|{}|{}", text(&country), money(total)));
    report(
        "customers who have spent at least four more than the average",
        rows,
        "WITH totals AS (SELECT customer_id, sum(total) AS total FROM invoice GROUP BY customer_id)
SELECT c.customer_id, c.last_name, c.country, t.total FROM customer c JOIN totals t USING (customer_id)
WHERE t.total > (SELECT avg(total) FROM totals) + 4 ORDER BY c.customer_id",
    )
}

/// Each row beside the one before it.
async fn growth_by_quarter(em: &EntityManager) -> Result<Report, Error> {
    let quarter = |i: &InvoiceFields| raw("to_char(?, 'YYYY-Q')", (i.invoice_date(),)).as_::<String>();
    let quarters = em
        .query::<Invoice>()
        .group_by(|i| quarter(&i))
        .select(|i| {
            let total = i.total().sum();
            let before = total.lag(1).over(|w| w.order_by(quarter(&i).asc()));
            (quarter(&i), total, before)
        })
        .order_by_result(|(quarter, _, _)| quarter.asc())
        .await?;
    let rows = quarters.into_iter().map(|(quarter, total, before)| {
        let growth = total.zip(before).map(|(total, before)| total - before);
        format!("{quarter}|{}|{}", money(total), money(growth))
    });
    report(
        "revenue by quarter, and how much more that is than in the quarter before",
        rows,
        "SELECT to_char(invoice_date, 'YYYY-Q'), sum(total),
       sum(total) - lag(sum(total)) OVER (ORDER BY to_char(invoice_date, 'YYYY-Q'))
FROM invoice GROUP BY 1 ORDER BY 1",
    )
}

/// Texts put together in order.
async fn albums_with_their_prices(em: &EntityManager) -> Result<Report, Error> {
    let albums = em
        .query::<Track>()
        .filter(|t| t.album().artist().name().eq("Deep Purple"))
        .group_by(|t| (t.album().id(), t.album().title()))
        .having(|t| t.id().count().lte(8))
        .select(|t| {
            let names = t.name().string_agg(", ").order_by(t.id().asc());
            (t.album().title(), count(), t.unit_price().sum(), t.milliseconds().avg(), names)
        })
        .order_by(|t| t.album().id().asc())
        .await?;
    let rows = albums.into_iter().map(|(title, tracks, price, length, names)| {
        let seconds = length.unwrap_or_default() / 1000.0;
        format!("{title}|{tracks}|{}|{seconds:.0}|{}", money(price), text(&names))
    });
    report(
        "short albums of an artist: tracks, price, mean length in seconds, and the names of the tracks",
        rows,
        "SELECT a.title, count(*), sum(t.unit_price), round(avg(t.milliseconds) / 1000), string_agg(t.name, ', ' ORDER BY t.track_id)
FROM track t JOIN album a USING (album_id) JOIN artist r USING (artist_id)
WHERE r.name = 'Deep Purple' GROUP BY a.album_id, a.title HAVING count(t.track_id) <= 8 ORDER BY a.album_id",
    )
}

/// Rows of two tables, and of one of them twice.
async fn address_book(em: &EntityManager) -> Result<Report, Error> {
    let boss = Alias::<Employee>::new();
    let staff = em
        .query::<Employee>()
        .left_join_with(&boss, |e, boss| e.reports_to().id().eq(boss.id()))
        .select(|e| (e.last_name(), value("staff".to_owned()), boss.fields().last_name().nullable()));
    let customers = em
        .query::<Customer>()
        .filter(|c| c.country().eq("Canada"))
        .select(|c| (c.last_name(), value("customer".to_owned()), c.support_rep().last_name().nullable()));
    let book = staff.union(customers).order_by_result(|(name, kind, _)| (name.asc(), kind.asc())).await?;
    let rows = book.into_iter().map(|(name, kind, contact)| format!("{name}|{kind}|{}", text(&contact)));
    report(
        "everybody in Canada: who is asked first",
        rows,
        "(SELECT e.last_name, 'staff', b.last_name FROM employee e LEFT JOIN employee b ON e.reports_to = b.employee_id)
UNION
(SELECT c.last_name, 'customer', e.last_name FROM customer c LEFT JOIN employee e ON e.employee_id = c.support_rep_id
 WHERE c.country = 'Canada')
ORDER BY 1, 2",
    )
}
