//! SQL written by hand: as a condition, an expression, an order; its arguments are bound.

use super::*;

#[tokio::test]
async fn raw_sql_is_a_condition_an_expression_and_an_order() {
    let fixture = &samples().await;
    let em = fixture.em();
    let ids = |found: Vec<Managed<Sample>>| found.iter().map(Managed::id).collect::<Vec<_>>();
    let ordered = || em.find::<Sample>().order_by(|s| s.id().asc());
    assert_eq!(ids(ordered().filter(|s| raw("char_length(?) > ?", (s.text(), 5))).await.unwrap()), [2, 3]);
    assert_eq!(ids(ordered().filter(|_| raw("normal = ? OR normal = ?", [0, 1000])).await.unwrap()), [2, 3]);
    assert_eq!(ids(ordered().filter(|_| raw("true", ())).await.unwrap()), [1, 2, 3, 4, 5]);
    assert_eq!(ids(ordered().filter(|s| s.id().gt(1) & raw("flag", ())).await.unwrap()), [2, 3]);
    assert_eq!(ids(ordered().filter(|s| s.id().eq(1).or(raw("id = ?", vec![4]))).await.unwrap()), [1, 4]);
    assert_eq!(em.count::<Sample>(raw("id > ?", (2,))).await.unwrap(), 3);
    let squared = |s: &SampleFields<Sample>| raw("? * ?", (s.id(), s.id())).as_::<i32>();
    assert_eq!(ids(ordered().filter(|s| squared(&s).between(4, 9)).await.unwrap()), [2, 3]);
    let find = em.find::<Sample>().order_by(|s| (raw("? % 2", (s.id(),)).desc(), s.id().asc()));
    assert_eq!(ids(find.await.unwrap()), [1, 3, 5, 2, 4]);
    check! { fixture;
        raw("? = ANY(?)", (s().id(), vec![1, 2])).condition() => "id IN (1, 2)";
        !raw("id = ?", (1,)).condition() => "id <> 1";
        raw("document ?? ?", ("list",)).condition() => "document ? 'list'";
        raw(r"document \? ? AND '?' = ?", ("list", "?")).condition() => "document ? 'list'";
        raw("coalesce(?, ?)", (None::<bool>, s().flag())).condition() => "flag";
        raw("? IS TRUE", (s().id().lt(3),)).condition() => "id < 3";
        raw("? + ?", (raw("?", (s().id(),)), 1)).as_::<i32>().eq(3) => "id = 2";
        raw("lower(?)", (s().text(),)).as_::<Option<String>>().starts_with("beta") => "lower(text) LIKE 'beta%'";
        raw("? = ?", (s().day(), day(2))).condition() => "day = '2024-02-12'";
    }
}

/// Whatever operators raw SQL has, it is one operand of those around it.
#[tokio::test]
async fn raw_sql_is_one_operand() {
    let fixture = &samples().await;
    let less_one = || raw("? - 1", (s().id(),)).as_::<i32>();
    check! { fixture;
        (less_one() * 2).eq(4) => "(id - 1) * 2 = 4";
        (s().id() - less_one()).eq(1) => "id - (id - 1) = 1";
        (-less_one()).eq(-2) => "-(id - 1) = -2";
        raw("? * 2", (raw("? + 1", (s().id(),)),)).as_::<i32>().eq(6) => "(id + 1) * 2 = 6";
        raw("flag OR ? > 2", (s().id(),)).as_::<bool>().eq(false) => "(flag OR id > 2) = false";
        raw("flag AND id < 5", ()).as_::<Option<bool>>().is_null() => "(flag AND id < 5) IS NULL";
        less_one().between(1, 2) => "(id - 1) BETWEEN 1 AND 2";
    }
}

#[tokio::test]
async fn an_argument_over_relations_is_joined_and_found_behind_to_many() {
    use crate::library::*;
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let author = em.persist(NewAuthor { name: "Ann".into() });
    em.persist(NewBook { title: "Annals".into(), author: author.to_ref() });
    em.flush().await.unwrap();
    let find = em.find::<Book>().filter(|b| raw("starts_with(?, ?)", (b.title(), b.author().name())));
    assert_eq!(find.count().await.unwrap(), 1);
    let find = em.find::<Author>().filter(|a| raw("starts_with(?, ?)", (a.books().title(), a.name())));
    assert_eq!(find.count().await.unwrap(), 1);
}

#[tokio::test]
async fn a_wrong_number_of_arguments_is_an_error_before_anything_is_sent() {
    let fixture = samples().await;
    let em = fixture.em();
    for (condition, message) in [
        (raw("id = ?", ()), "1 placeholders (?) and 0 arguments"),
        (raw("id = 1", (1,)), "0 placeholders (?) and 1 arguments"),
        (raw("text = '?'", ("x",)), "0 placeholders"),
        (raw("id = $1", (1,)), "the placeholder of raw SQL is ?"),
    ] {
        let error = em.find::<Sample>().filter(|_| condition).await.unwrap_err();
        assert!(matches!(error, Error::Validation { entity: Some("Sample"), .. }), "{error}");
        assert!(error.to_string().contains(message), "{error}");
    }
    assert!(fixture.statements().is_empty());
}

/// E1: whatever a value is, it stays a value, in every operator.
#[tokio::test]
async fn e1_hostile_values_stay_values_in_every_operator() {
    let fixture = samples().await;
    let em = fixture.em();
    let hostile = [
        "'; DROP TABLE sample; --",
        "' OR '1'='1",
        "\\'; SELECT pg_sleep(10); --",
        "$1 ? ?? \"quoted\" /* comment",
        "%_\\",
        "{a,b} \"c\" \u{202e}🦀",
    ];
    for (index, value) in hostile.into_iter().enumerate() {
        let id = 100 + i32::try_from(index).unwrap();
        em.persist(NewSample { id }.with(|s| {
            s.text = Some(value.to_owned());
            s.words = Some(vec![value.to_owned()]);
            s.document = Some(json!({ value: { "inner": value } }));
        }));
        em.flush().await.unwrap();
        fixture.forget();
        let quoted = format!("^{}$", value.replace(|c: char| !c.is_alphanumeric(), "."));
        let conditions = [
            s().text().eq(value),
            s().text().is_in([value]),
            s().text().between(value, value),
            s().text().starts_with(value),
            s().text().ends_with(value),
            s().text().contains(value),
            s().text().is_not_distinct_from(value),
            s().text().matches(quoted.as_str()),
            s().text().replace(value, "-").eq("-"),
            s().words().contains(value),
            s().words().overlaps([value]),
            s().words().contained_by([value]) & s().words().is_not_empty(),
            s().words().has(value),
            s().document().has_key(value),
            s().document().has_any_key([value]),
            s().document().contains(json!({ value: {} })),
            s().document().json([value, "inner"]).as_::<String>().eq(value),
            (s().text(), s().id()).eq((value, id)),
            (s().text(), s().id()).is_in([(value, id)]),
            s().text().coalesce("").concat(value).eq(format!("{value}{value}")),
            raw("text = ?", (value,)).condition(),
        ];
        let count = conditions.len();
        for condition in conditions {
            let shown = format!("{condition:?}");
            let found = em.find::<Sample>().filter(|_| condition).await;
            let found = found.unwrap_or_else(|error| panic!("{shown} {value}: {error} {:?}", fixture.statements()));
            assert_eq!(found.iter().map(Managed::id).collect::<Vec<_>>(), [id], "{shown} {value}");
        }
        let statements = fixture.statements();
        assert_eq!(statements.len(), count);
        for statement in statements {
            assert!(!statement.contains(value) && !statement.contains('*'), "{statement}");
            assert!(statement.contains("$1::"), "{statement}");
        }
    }
    assert_eq!(fixture.rows("SELECT count(*) FROM sample").await, ["11"]);
}
