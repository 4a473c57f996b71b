//! Questions to the Chinook database, each asked with entities and, to check the answer, in SQL.
//!
//! A report's rows are what the SQL next to it answers: columns with `|` between them, NULL as `~`.

use std::collections::BTreeMap;

use howdah::prelude::*;

use super::entities::*;

/// One question with its answer.
#[derive(Debug)]
pub struct Report {
    pub title: &'static str,
    pub rows: Vec<String>,
    /// The SQL that answers the same question.
    pub sql: &'static str,
}

/// All questions, in the order in which they are printed.
pub async fn all(em: &EntityManager) -> Result<Vec<Report>, Error> {
    Ok(vec![
        invoices_of_a_customer(em).await?,
        employee_tree(em).await?,
        customers_of_a_country(em).await?,
        albums_of_an_artist(em).await?,
        artists_without_albums(em).await?,
        buyers_of_a_genre(em).await?,
        playlists_with_an_artist(em).await?,
        greatest_invoices(em).await?,
        sales_by_country(em).await?,
        sales_by_employee(em).await?,
        long_tracks_without_composer(em).await?,
        tracks_in_several_lists(em).await?,
    ])
}

fn text(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or("~")
}

/// Each relation is one statement, whatever the number of rows: five round trips for five tables.
pub async fn invoices_of_a_customer(em: &EntityManager) -> Result<Report, Error> {
    let customer = em.find_one_or_fail::<Customer>(5, Customer::fields().invoices().lines().track().album()).await?;
    let mut rows = Vec::new();
    for invoice in customer.read().invoices.items()? {
        let invoice = invoice.read();
        for line in invoice.lines.items()? {
            let line = line.read();
            let track = line.track.get()?;
            let track = track.read();
            let album = track.album.as_ref().map(Ref::get).transpose()?;
            let album = album.map_or_else(|| "~".to_owned(), |album| album.read().title.clone());
            let (id, date, total) = (invoice.id, invoice.invoice_date.date(), invoice.total);
            rows.push(format!("{id}|{date}|{total:.2}|{}|{album}|{:.2}", track.name, line.unit_price));
        }
    }
    Ok(Report {
        title: "the invoices of customer 5, with lines, tracks and albums",
        rows,
        sql: "SELECT i.invoice_id, i.invoice_date::date, i.total, t.name, a.title, l.unit_price
FROM invoice i JOIN invoice_line l USING (invoice_id) JOIN track t USING (track_id) LEFT JOIN album a USING (album_id)
WHERE i.customer_id = 5 ORDER BY i.invoice_id, l.invoice_line_id",
    })
}

/// All employees are read once; the tree is then walked in memory, over the collections of the same entities.
pub async fn employee_tree(em: &EntityManager) -> Result<Report, Error> {
    let employees = em.find::<Employee>().populate(|e| e.reports()).order_by(|e| e.id().asc()).await?;
    let heads = employees.iter().filter(|employee| employee.read().reports_to.is_none());
    let mut ahead: Vec<(Managed<Employee>, usize)> = heads.rev().map(|head| (head.clone(), 0)).collect();
    let mut rows = Vec::new();
    while let Some((employee, depth)) = ahead.pop() {
        let employee = employee.read();
        let (first, last) = (&employee.first_name, &employee.last_name);
        rows.push(format!("{}{first} {last}|{}", "  ".repeat(depth), text(&employee.title)));
        ahead.extend(employee.reports.items()?.into_iter().rev().map(|report| (report, depth + 1)));
    }
    Ok(Report {
        title: "who reports to whom",
        rows,
        sql: "WITH RECURSIVE tree AS (
  SELECT e.*, 0 AS depth, ARRAY[employee_id] AS path FROM employee e WHERE reports_to IS NULL
  UNION ALL
  SELECT e.*, depth + 1, path || e.employee_id FROM employee e JOIN tree t ON e.reports_to = t.employee_id
)
SELECT repeat('  ', depth) || first_name || ' ' || last_name, title FROM tree ORDER BY path",
    })
}

/// A filter, an order by two columns, a to-one relation loaded along.
pub async fn customers_of_a_country(em: &EntityManager) -> Result<Report, Error> {
    let customers = em
        .find::<Customer>()
        .filter(|c| c.country().eq("Brazil").and(c.email().ilike("%.COM.BR")))
        .populate(|c| c.support_rep())
        .order_by(|c| (c.last_name().asc(), c.first_name().asc()))
        .await?;
    let mut rows = Vec::new();
    for customer in &customers {
        let customer = customer.read();
        let rep = customer.support_rep.as_ref().map(Ref::get).transpose()?;
        let rep = rep.map_or_else(|| "~".to_owned(), |rep| rep.read().first_name.clone());
        rows.push(format!("{}|{}|{}|{rep}", customer.last_name, customer.first_name, text(&customer.company)));
    }
    Ok(Report {
        title: "customers in Brazil with a Brazilian address, and who looks after them",
        rows,
        sql: "SELECT c.last_name, c.first_name, c.company, e.first_name
FROM customer c LEFT JOIN employee e ON e.employee_id = c.support_rep_id
WHERE c.country = 'Brazil' AND c.email ILIKE '%.COM.BR' ORDER BY c.last_name, c.first_name",
    })
}

/// A condition and an order over a to-one relation: the same join serves both.
pub async fn albums_of_an_artist(em: &EntityManager) -> Result<Report, Error> {
    let albums = em
        .find::<Album>()
        .filter(|a| a.artist().name().is_in(["Led Zeppelin", "Deep Purple"]))
        .populate(|a| (a.tracks(), a.artist()))
        .order_by(|a| (a.artist().name().asc(), a.title().asc()))
        .limit(12)
        .await?;
    let mut rows = Vec::new();
    for album in &albums {
        let album = album.read();
        let artist = album.artist.get()?;
        rows.push(format!("{}|{}|{}", text(&artist.read().name), album.title, album.tracks.len()?));
    }
    Ok(Report {
        title: "the first twelve albums of two artists, and how many tracks each has",
        rows,
        sql: "SELECT r.name, a.title, (SELECT count(*) FROM track t WHERE t.album_id = a.album_id)
FROM album a JOIN artist r USING (artist_id)
WHERE r.name IN ('Led Zeppelin', 'Deep Purple') ORDER BY r.name, a.title LIMIT 12",
    })
}

/// Counting reads no entities.
pub async fn artists_without_albums(em: &EntityManager) -> Result<Report, Error> {
    let without = em.find::<Artist>().filter(|a| a.albums().is_empty()).count().await?;
    let all = em.count::<Artist>(()).await?;
    Ok(Report {
        title: "artists without an album, and all artists",
        rows: vec![format!("{without}|{all}")],
        sql: "SELECT count(*) FILTER (WHERE NOT EXISTS (SELECT FROM album b WHERE b.artist_id = a.artist_id)), count(*)
FROM artist a",
    })
}

/// A condition over five tables. To-many relations on the way become EXISTS: no customer comes twice.
pub async fn buyers_of_a_genre(em: &EntityManager) -> Result<Report, Error> {
    let customers = em
        .find::<Customer>()
        .filter(|c| c.invoices().lines().track().genre().name().eq("Jazz"))
        .filter(|c| c.country().ne("USA"))
        .order_by(|c| c.id().asc())
        .await?;
    let rows = customers.iter().map(|customer| {
        let customer = customer.read();
        format!("{}|{} {}|{}", customer.id, customer.first_name, customer.last_name, text(&customer.country))
    });
    Ok(Report {
        title: "customers outside of the USA who have bought Jazz",
        rows: rows.collect(),
        sql: "SELECT DISTINCT c.customer_id, c.first_name || ' ' || c.last_name, c.country
FROM customer c JOIN invoice USING (customer_id) JOIN invoice_line USING (invoice_id)
     JOIN track USING (track_id) JOIN genre g USING (genre_id)
WHERE g.name = 'Jazz' AND c.country <> 'USA' ORDER BY c.customer_id",
    })
}

/// Both conditions of `some` hold for the same track.
pub async fn playlists_with_an_artist(em: &EntityManager) -> Result<Report, Error> {
    let playlists = em
        .find::<Playlist>()
        .filter(|p| p.tracks().some(|t| t.album().artist().name().eq("Queen").and(t.milliseconds().lt(180_000))))
        .order_by(|p| p.id().asc())
        .await?;
    let rows = playlists.iter().map(|playlist| {
        let playlist = playlist.read();
        format!("{}|{}", playlist.id, text(&playlist.name))
    });
    Ok(Report {
        title: "playlists with a track by Queen of less than three minutes",
        rows: rows.collect(),
        sql: "SELECT p.playlist_id, p.name FROM playlist p
WHERE EXISTS (SELECT FROM playlist_track JOIN track t USING (track_id) JOIN album USING (album_id) JOIN artist r USING (artist_id)
              WHERE playlist_id = p.playlist_id AND r.name = 'Queen' AND t.milliseconds < 180000)
ORDER BY p.playlist_id",
    })
}

/// Ordered by money, greatest first.
pub async fn greatest_invoices(em: &EntityManager) -> Result<Report, Error> {
    let invoices = em
        .find::<Invoice>()
        .filter(|i| i.total().gt(15.0))
        .populate(|i| i.customer())
        .order_by(|i| (i.total().desc(), i.id().asc()))
        .limit(5)
        .await?;
    let mut rows = Vec::new();
    for invoice in &invoices {
        let invoice = invoice.read();
        let customer = invoice.customer.get()?;
        rows.push(format!("{}|{:.2}|{}", invoice.id, invoice.total, customer.read().last_name));
    }
    Ok(Report {
        title: "the five greatest invoices",
        rows,
        sql: "SELECT i.invoice_id, i.total, c.last_name FROM invoice i JOIN customer c USING (customer_id)
WHERE i.total > 15 ORDER BY i.total DESC, i.invoice_id LIMIT 5",
    })
}

/// Summed up in the program: the entities are there.
pub async fn sales_by_country(em: &EntityManager) -> Result<Report, Error> {
    let day = |year, month, day| {
        NaiveDate::from_ymd_opt(year, month, day).and_then(|date| date.and_hms_opt(0, 0, 0)).unwrap_or_default()
    };
    let invoices = em.find::<Invoice>().filter(|i| i.invoice_date().between(day(2021, 1, 1), day(2021, 3, 31))).await?;
    let mut sales: BTreeMap<String, (u32, f64)> = BTreeMap::new();
    for invoice in &invoices {
        let invoice = invoice.read();
        let country = sales.entry(text(&invoice.billing_country).to_owned()).or_default();
        *country = (country.0 + 1, country.1 + invoice.total);
    }
    Ok(Report {
        title: "invoices and sales by country in the first quarter of 2021",
        rows: sales.iter().map(|(country, (count, total))| format!("{country}|{count}|{total:.2}")).collect(),
        sql: "SELECT billing_country, count(*), sum(total) FROM invoice
WHERE invoice_date BETWEEN '2021-01-01' AND '2021-03-31' GROUP BY billing_country ORDER BY billing_country COLLATE \"C\"",
    })
}

/// Two to-many relations, one behind the other.
pub async fn sales_by_employee(em: &EntityManager) -> Result<Report, Error> {
    let employees = em
        .find::<Employee>()
        .filter(|e| e.customers().is_empty().not())
        .populate(|e| e.customers().invoices())
        .order_by(|e| e.id().asc())
        .await?;
    let mut rows = Vec::new();
    for employee in &employees {
        let employee = employee.read();
        let customers = employee.customers.items()?;
        let mut total = 0.0;
        for customer in &customers {
            let invoices = customer.read().invoices.items()?;
            total += invoices.iter().map(|invoice| invoice.read().total).sum::<f64>();
        }
        rows.push(format!("{}|{}|{total:.2}", employee.first_name, customers.len()));
    }
    Ok(Report {
        title: "the customers of each employee, and what they have spent",
        rows,
        sql: "SELECT e.first_name, count(DISTINCT c.customer_id), sum(i.total)
FROM employee e JOIN customer c ON c.support_rep_id = e.employee_id JOIN invoice i USING (customer_id)
GROUP BY e.employee_id ORDER BY e.employee_id",
    })
}

/// NULL, lists, and a negation.
pub async fn long_tracks_without_composer(em: &EntityManager) -> Result<Report, Error> {
    let tracks = em
        .find::<Track>()
        .filter(|t| t.composer().is_null() & t.milliseconds().gte(2_500_000))
        .filter(|t| !t.genre().name().is_in(["Drama", "Science Fiction"]))
        .filter(|t| t.media_type().name().like("%video%"))
        .order_by(|t| (t.milliseconds().desc(), t.id().asc()))
        .limit(6)
        .offset(1)
        .await?;
    let rows = tracks.iter().map(|track| {
        let track = track.read();
        format!("{}|{}|{}", track.id, track.name, track.milliseconds)
    });
    Ok(Report {
        title: "the second to seventh longest video without a composer, no drama or science fiction",
        rows: rows.collect(),
        sql: "SELECT t.track_id, t.name, t.milliseconds
FROM track t JOIN genre g USING (genre_id) JOIN media_type m USING (media_type_id)
WHERE t.composer IS NULL AND t.milliseconds >= 2500000 AND g.name NOT IN ('Drama', 'Science Fiction')
      AND m.name LIKE '%video%'
ORDER BY t.milliseconds DESC, t.track_id LIMIT 6 OFFSET 1",
    })
}

/// The table between playlists and tracks as entities of their own, with a key of two relations.
pub async fn tracks_in_several_lists(em: &EntityManager) -> Result<Report, Error> {
    let grunge = em.find_one_or_fail::<Playlist>(Playlist::fields().name().eq("Grunge"), ()).await?;
    let entries = em
        .find::<PlaylistTrack>()
        .filter(|e| e.playlist().eq(&grunge))
        .populate(|e| e.track().playlists())
        .order_by(|e| e.track().id().asc())
        .await?;
    let mut rows = Vec::new();
    for entry in &entries {
        let (playlist, track) = entry.id();
        let found = entry.read().track.get()?;
        let found = found.read();
        rows.push(format!("{playlist}|{track}|{}|{}", found.name, found.playlists.len()?));
    }
    Ok(Report {
        title: "the tracks of the playlist Grunge, and in how many playlists each is",
        rows,
        sql: "SELECT e.playlist_id, e.track_id, t.name, (SELECT count(*) FROM playlist_track o WHERE o.track_id = e.track_id)
FROM playlist_track e JOIN track t USING (track_id) JOIN playlist p USING (playlist_id)
WHERE p.name = 'Grunge' ORDER BY e.track_id",
    })
}
