//! Queries as operands: lists, single values, existence; correlated and not.

use super::*;
use howdah::functions::{exists, not_exists, scalar};

#[tokio::test]
async fn a_subquery_is_a_list() {
    let fixture = &samples().await;
    let happy = Subquery::of::<Sample>().filter(|o| o.mood().gte(Mood::Calm));
    check! { fixture;
        s().id().is_in(happy.clone().select(|o| o.id())) => "id IN (SELECT id FROM sample WHERE mood >= 'Calm')";
        s().mood().is_in(happy.clone().select(|o| o.mood())) => "mood IN ('Calm', 'Happy')";
        s().id().is_in(happy.clone().select(|o| o.id() - 1)) => "id IN (1, 2)";
        s().id().not_in(happy.clone().order_by(|o| o.id().desc()).limit(1).select(|o| o.id())) => "id <> 3";
        s().id().is_in(happy.clone().order_by(|o| o.id().desc()).offset(1).limit(5).select(|o| o.id())) => "id = 2";
        s().id().is_in(happy.clone().distinct().select(|o| o.id())) => "id IN (2, 3)";
        s().id().is_in(Subquery::of::<Sample>().filter(|_| Condition::never()).select(|o| o.id())) => "false";
        s().id().not_in(Subquery::of::<Sample>().filter(|_| Condition::never()).select(|o| o.id())) => "true";
        (s().id(), s().text()).is_in(happy.clone().select(|o| (o.id(), o.text()))) => "id IN (2, 3)";
    }
    // What a sub-query finds NULL would make NOT IN never true.
    let all = Subquery::of::<Sample>();
    let sql = "normal NOT IN (SELECT normal FROM sample WHERE normal IS NOT NULL AND id <> 1)";
    check! { fixture; s().normal().not_in(all.clone().filter(|o| o.id().ne(1)).select(|o| o.normal())) => sql; }
    let others = all.filter_opt(Some(s().id().gt(1))).select(|o| (o.normal(), o.text()));
    check! { fixture;
        (s().normal().coalesce(9), s().text().coalesce("")).not_in(others)
            => "(coalesce(normal, 9), coalesce(text, '')) NOT IN (VALUES (0, 'Beta_x'), (1000, 'gamma 100%'))";
    }
}

#[tokio::test]
async fn a_subquery_of_one_row_is_a_value() {
    let fixture = &samples().await;
    let first = || Subquery::of::<Sample>().order_by(|o| o.id().asc()).limit(1);
    check! { fixture;
        s().id().gt(first().select(|o| o.id())) => "id > 1";
        s().normal().eq(first().select(|o| o.normal())) => "normal = -1000";
        s().id().between(first().select(|o| o.id() + 1), 3) => "id BETWEEN 2 AND 3";
        (s().id() + scalar(first().select(|o| o.id()))).eq(3) => "id + 1 = 3";
        scalar(first().select(|o| o.text())).eq("alpha") => "true";
        // No row is NULL.
        s().id().gt(Subquery::of::<Sample>().filter(|o| o.id().gt(9)).select(|o| o.id())) => "NULL::bool";
    }
    let many = Subquery::of::<Sample>().select(|o| o.id());
    let error = fixture.em().count::<Sample>(s().id().eq(many)).await.unwrap_err();
    assert!(error.to_string().contains("more than one row"), "{error}");
}

#[tokio::test]
async fn a_subquery_sees_the_row_of_the_query_around_it() {
    let fixture = &samples().await;
    let next = || Subquery::of::<Sample>().filter(|o| o.id().eq((s().id() + 1).outer()));
    let same_mood =
        || Subquery::of::<Sample>().filter(|o| o.flag().eq(s().flag().outer()).and(o.id().ne(s().id().outer())));
    check! { fixture;
        exists(next()) => "EXISTS (SELECT 1 FROM sample o WHERE o.id = t0.id + 1)";
        not_exists(next()) => "id = 5";
        exists(same_mood()) => "flag IS TRUE";
        exists(next()) & exists(same_mood()) => "flag IS TRUE";
        s().big().lt(next().select(|o| o.big())) => "CASE WHEN id IN (1, 2) THEN true END";
        s().id().is_in(same_mood().select(|o| (o.id() + 1).nullable()))
            => "id IN (SELECT o.id + 1 FROM sample o WHERE o.flag = t0.flag AND o.id <> t0.id)";
        // Two levels out.
        exists(next().filter(|o| {
            let id = o.id();
            let inner = Subquery::of::<Sample>().filter(|i| i.id().eq(s().id().outer::<Sample>().outer()).and(i.id().lt(id.outer())));
            exists(inner) & o.text().is_not_null()
        })) => "id IN (1, 2, 4)";
    }
    let sql = {
        fixture.forget();
        fixture.em().count::<Sample>(exists(next())).await.unwrap();
        fixture.statements().concat()
    };
    let expected = r#"SELECT count(*) FROM "sample" AS t0 WHERE EXISTS (SELECT 1 FROM "sample" AS t1 WHERE t1."id" = ((t0."id" + $1::int4))::int4)"#;
    assert_eq!(sql, expected);
}

#[tokio::test]
async fn an_outer_column_without_a_query_around_it_is_refused() {
    let fixture = samples().await;
    let error = fixture.em().count::<Sample>(s().id().eq(s().id().outer())).await.unwrap_err();
    assert!(matches!(error, Error::Validation { entity: Some("Sample"), .. }), "{error}");
    assert!(error.to_string().contains("outer()"), "{error}");
    assert!(fixture.statements().is_empty());
}

#[tokio::test]
async fn subqueries_go_over_relations_and_stand_inside_of_quantifiers() {
    use crate::library::*;
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    for (name, titles) in [("Ann", ["Long", "Short"]), ("Bob", ["Short", "Other"])] {
        let author = em.persist(NewAuthor { name: name.into() });
        for title in titles {
            em.persist(NewBook { title: title.into(), author: author.to_ref() });
        }
    }
    em.flush().await.unwrap();
    let names = async |condition: Condition<Author>| {
        let found = em.find::<Author>().filter(|_| condition).order_by(|a| a.name().asc()).await.unwrap();
        found.iter().map(|author| author.read().name.clone()).collect::<Vec<_>>().join(" ")
    };
    let a = Author::fields;
    let of_ann = || Subquery::of::<Book>().filter(|b| b.author().name().eq("Ann"));
    assert_eq!(names(a().id().is_in(of_ann().select(|b| b.author().id()))).await, "Ann");
    assert_eq!(names(a().books().title().is_in(of_ann().select(|b| b.title()))).await, "Ann Bob");
    assert_eq!(names(a().books().every(|b| b.title().is_in(of_ann().select(|b| b.title())))).await, "Ann");
    let b = Book::fields;
    let ann = || Subquery::of::<Author>().filter(|a| a.name().eq("Ann"));
    assert_eq!(em.count::<Book>(b().author().is_in(ann())).await.unwrap(), 2);
    assert_eq!(em.count::<Book>(b().author().not_in(ann())).await.unwrap(), 2);
    assert_eq!(names(a().books().author().is_in(ann())).await, "Ann");
    fixture.forget();
    assert_eq!(em.count::<Book>(b().author().mentor().is_in(ann())).await.unwrap(), 0);
    let sql = fixture.statements().concat();
    assert!(
        sql.ends_with(r#""mentor_id" IN (SELECT t2."id" FROM "author" AS t2 WHERE t2."name" = $1::text)"#),
        "{sql}"
    );
    // A book whose title no other author has used.
    let unique = a().books().some(|b| {
        let (title, author) = (b.title(), b.author().id());
        not_exists(
            Subquery::of::<Book>().filter(|o| o.title().eq(title.outer()).and(o.author().id().ne(author.outer()))),
        )
    });
    assert_eq!(names(unique).await, "Ann Bob");
    // Behind a to-many path, the sub-query's outer row is the related one's owner.
    let by_outer = a()
        .books()
        .title()
        .is_in(Subquery::of::<Book>().filter(|b| b.author().id().ne(a().id().outer())).select(|b| b.title()));
    assert_eq!(names(by_outer).await, "Ann Bob");
    assert_eq!(
        names(exists(
            Subquery::of::<Book>().filter(|b| b.author().id().eq(a().id().outer()).and(b.title().eq("Long")))
        ))
        .await,
        "Ann"
    );
}
