//! Patterns, regular expressions, pieces of text, full text.

use super::*;
use howdah::FullText;

#[tokio::test]
async fn patterns_and_pieces_of_text() {
    let fixture = &samples().await;
    let (empty, pattern) = (String::new(), "x$".to_owned());
    check! { fixture;
        s().text().like("%a%") => "text LIKE '%a%'";
        s().text().like(r"gamma 100\%") => r"text LIKE 'gamma 100\%'";
        s().short().like("%_X".to_owned()) => "short LIKE '%_X'";
        s().short().like(s().text().upper().concat("%")) => "short LIKE upper(text) || '%'";
        s().text().ilike("BETA%") => "text ILIKE 'BETA%'";
        s().text().ilike(s().short()) => "text ILIKE short";
        s().text().matches("^[a-z]+$") => "text ~ '^[a-z]+$'";
        s().text().matches(r"\d{3}%") => r"text ~ '\d{3}%'";
        s().text().imatches("BETA|ALPHA") => "text ~* 'BETA|ALPHA'";
        s().short().imatches(&pattern) => "short ~* 'x$'";
        // What would be a pattern is text.
        s().text().starts_with("Beta_") => r"text LIKE 'Beta\_%'";
        s().text().starts_with("%") => r"text LIKE '\%%'";
        s().text().ends_with("0%") => r"text LIKE '%0\%'";
        s().text().ends_with("_x") => r"text LIKE '%\_x'";
        s().text().contains("a_") => r"text LIKE '%a\_%'";
        s().text().contains("a") => "text LIKE '%a%'";
        s().text().contains(String::from("\\")) => r"text LIKE '%\\%'";
        s().text().contains(&empty) => "text LIKE '%%'";
        s().text().lower().starts_with("beta") => "lower(text) LIKE 'beta%'";
    }
    let error = fixture.em().find::<Sample>().filter(|s| s.text().matches("(")).await.unwrap_err();
    assert!(matches!(&error, Error::Database { .. }) && error.to_string().contains("regular expression"), "{error}");
}

/// An article, with its words made by the database.
#[derive(Entity, Clone, Debug)]
pub struct Article {
    #[primary_key(assigned)]
    pub id: i32,
    pub title: String,
    pub body: Option<String>,
    #[property(sql_type = "tsvector")]
    pub words: Option<String>,
}

#[tokio::test]
async fn full_text_is_searched_by_words_and_ordered_by_rank() {
    let fixture = Fixture::new(entities![Article]).await;
    let em = fixture.em();
    for (id, title, body) in [
        (1, "Running databases", Some("A database that runs and runs.")),
        (2, "Cooking", Some("Pasta; no database here, only a mention of a run.")),
        (3, "Leer", None),
        (4, "Die Häuser", Some("Viele Häuser und ein Haus")),
    ] {
        em.persist(NewArticle { id, title: title.into() }.with(|a| a.body = body.map(str::to_owned)));
    }
    em.flush().await.unwrap();
    let fill = "UPDATE article SET words = to_tsvector('english', title || ' ' || coalesce(body, ''))";
    fixture.database.execute(fill).await.unwrap();
    fixture.forget();
    let a = Article::fields;
    let english = |query: &str| FullText::new(query).language("english");
    for (condition, sql) in [
        (
            a().body().fulltext(english("databases running")),
            "to_tsvector('english', body) @@ websearch_to_tsquery('english', 'databases running')",
        ),
        (
            a().body().fulltext(english("pasta or runs")),
            "to_tsvector('english', body) @@ websearch_to_tsquery('english', 'pasta or runs')",
        ),
        (
            a().body().fulltext(english("database -pasta")),
            "to_tsvector('english', body) @@ websearch_to_tsquery('english', 'database -pasta')",
        ),
        (
            a().body().fulltext(english("\"only a mention\"")),
            "to_tsvector('english', body) @@ websearch_to_tsquery('english', '\"only a mention\"')",
        ),
        (
            a().body().fulltext(FullText::new("haus").language("german")),
            "to_tsvector('german', body) @@ websearch_to_tsquery('german', 'haus')",
        ),
        (a().title().fulltext("cooking"), "to_tsvector(title) @@ websearch_to_tsquery('cooking')"),
        (a().words().fulltext(english("run")), "words @@ websearch_to_tsquery('english', 'run')"),
        (
            a().title().concat(" ").concat(a().body().coalesce("")).fulltext(english("cook pasta")),
            "to_tsvector('english', title || ' ' || coalesce(body, '')) @@ websearch_to_tsquery('english', 'cook pasta')",
        ),
        // Whatever is typed into a search box is a query.
        (a().body().fulltext(english("'); DROP TABLE article; -- & | ! \\")), "false"),
    ] {
        let shown = format!("{condition:?}");
        let found = fixture.em().find::<Article>().filter(|_| condition).order_by(|a| a.id().asc()).await.unwrap();
        let found: Vec<String> = found.iter().map(|article| article.id().to_string()).collect();
        assert_eq!(found, fixture.rows(&format!("SELECT id FROM article WHERE {sql} ORDER BY id")).await, "{shown}");
    }
    fixture.forget();
    let find = fixture.em().find::<Article>().filter(|a| a.body().fulltext(english("database")));
    let found = find.order_by(|a| a.body().fulltext_rank(english("database run")).desc()).await.unwrap();
    assert_eq!(found.iter().map(Managed::id).collect::<Vec<_>>(), [1, 2]);
    // E1: the search is bound. The configuration is a name, and constant, so that an index on the same is used.
    let sql = fixture.statements().concat();
    assert!(
        sql.contains(
            "to_tsvector('english'::regconfig, t0.\"body\") @@ websearch_to_tsquery('english'::regconfig, $1::text)"
        ),
        "{sql}"
    );
    let injected = a().body().fulltext(FullText::new("x").language("english', 'x'); DROP TABLE article; --"));
    let error = fixture.em().count::<Article>(injected).await.unwrap_err();
    assert!(matches!(error, Error::Validation { entity: Some("Article"), .. }), "{error}");
    assert!(fixture.statements().is_empty());
}
