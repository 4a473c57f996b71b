//! Functions, arithmetic, choices; and orders by them.

use super::*;
use chrono::TimeDelta;
use howdah::functions::{DatePart, case, concat, concat_with, now, random, today, value};

#[tokio::test]
async fn functions_of_text() {
    let fixture = &samples().await;
    check! { fixture;
        s().text().lower().eq("beta_x") => "lower(text) = 'beta_x'";
        s().text().upper().eq(s().short()) => "upper(text) = short";
        s().short().trim().eq("both") => "trim(short) = 'both'";
        s().short().trim_start().eq("both  ") => "ltrim(short) = 'both  '";
        s().short().trim_end().eq("  both") => "rtrim(short) = '  both'";
        s().text().left(2).eq("al") => "left(text, 2) = 'al'";
        s().text().right(-1).eq("lpha") => "right(text, -1) = 'lpha'";
        s().text().substring(2, 3).eq("eta") => "substr(text, 2, 3) = 'eta'";
        s().text().replace("_", "-").eq("Beta-x") => "replace(text, '_', '-') = 'Beta-x'";
        s().text().concat("!").eq("alpha!") => "text || '!' = 'alpha!'";
        s().text().length().eq(s().short().length()) => "length(text) = length(short)";
        concat((s().text(), "/", s().short())).eq("alpha/ALPHA") => "concat(text, '/', short) = 'alpha/ALPHA'";
        concat((s().text(), s().short())).is_empty() => "id = 4";
        concat_with("-", (s().text(), "x", s().short())).eq("x") => "concat_ws('-', text, 'x', short) = 'x'";
        s().text().coalesce(s().short()).coalesce("none").eq("none") => "coalesce(text, short, 'none') = 'none'";
    }
}

#[tokio::test]
async fn functions_of_numbers_and_arithmetic() {
    let fixture = &samples().await;
    check! { fixture;
        (s().id() + 1).eq(3) => "id + 1 = 3";
        (s().id() * 2 - s().id()).eq(s().id()) => "id * 2 - id = id";
        (s().small() / 3_i16).eq(33) => "small / 3 = 33";
        (s().normal() % 300).lt(0) => "normal % 300 < 0";
        (s().double() % 0.15).lt(0.06) => "(double::numeric % 0.15)::float8 < 0.06";
        (-s().normal()).gt(0) => "-normal > 0";
        (s().amount() * 2.0).gt(4.0) => "amount * 2 > 4";
        (s().big() + s().id().cast::<i64>()).eq(20_000_000_002) => "big + id = 20000000002";
        (s().single() - 0.5_f32).abs().lte(0.5) => "abs(single - 0.5) <= 0.5";
        s().normal().abs().eq(1000) => "abs(normal) = 1000";
        s().double().round().eq(0.0) => "round(double) = 0";
        s().single().ceil().eq(2.0) => "ceil(single) = 2";
        s().single().floor().eq(1.0) => "floor(single) = 1";
        s().amount().round_to(1).eq(3.0) => "round(amount, 1) = 3.0";
        s().normal().sign().eq(-1) => "sign(normal) = -1";
        s().small().sqrt().eq(10.0) => "sqrt(small) = 10";
        s().id().power(2.0).gt(8.5) => "id ^ 2 > 8.5";
        s().small().cast::<String>().eq("200") => "small::text = '200'";
        s().id().greatest(s().small().cast::<i32>()).eq(s().id()) => "greatest(id, small) = id";
        s().normal().least(0).eq(0) => "least(normal, 0) = 0";
    }
    let error = fixture.em().count::<Sample>((s().id() / (s().id() - 1)).gt(0)).await.unwrap_err();
    assert!(error.to_string().contains("division by zero"), "{error}");
}

#[tokio::test]
async fn functions_of_time_count_in_utc() {
    let fixture = samples().await;
    // Not the session's time zone decides.
    let zone = "ALTER ROLE CURRENT_USER SET timezone = 'Pacific/Auckland'";
    fixture.database.execute(zone).await.unwrap();
    let orm = Orm::builder().url(fixture.database.url()).entities(entities![Sample]).connect().await.unwrap();
    let em = orm.em();
    let noon = at(1).date_naive().and_hms_opt(12, 0, 0).unwrap().and_utc();
    for (condition, expected) in [
        (s().at().date_trunc(DatePart::Day).eq(at(1).date_naive().and_hms_opt(0, 0, 0).unwrap().and_utc()), "1"),
        (s().at().date_trunc(DatePart::Month).lt(noon), "1 2 3"),
        (s().local().date_trunc(DatePart::Hour).eq(at(2).date_naive().and_hms_opt(22, 0, 0).unwrap()), "2"),
        (s().day().date_trunc(DatePart::Quarter).eq(NaiveDate::from_ymd_opt(2024, 1, 1).unwrap()), "1 2 3"),
        (s().day().date_trunc(DatePart::Week).eq(NaiveDate::from_ymd_opt(2024, 2, 12).unwrap()), "2"),
        (s().at().date().eq(at(3).date_naive()), "3"),
        (s().at().day().eq(16), "2"),
        (s().at().extract(DatePart::Hour).eq(22), "1 2 3"),
        (s().at().extract(DatePart::Second).eq(20), "1 2 3"),
        (s().day().month().eq(2), "2"),
        (s().day().year().eq(2024), "1 2 3"),
        (s().day().extract(DatePart::DayOfWeek).eq(1), "2"),
        (s().day().extract(DatePart::DayOfYear).lte(43), "1 2"),
        (s().local().extract(DatePart::Week).eq(46), "1 2 3"),
        (s().local().extract(DatePart::Minute).eq(13) & s().at().extract(DatePart::Quarter).eq(4), "1 2 3"),
        (s().at().epoch().eq(1_700_086_400.25), "1"),
        (s().at().lt(now()) & s().day().lt(today()), "1 2 3"),
        (s().at().date_trunc(DatePart::Year).is_null(), "4 5"),
        (s().at().plus(TimeDelta::days(1)).eq(at(3)), "2"),
        (s().at().minus(TimeDelta::microseconds(-86_400_000_000 * 2)).eq(at(3)), "1"),
        (s().at().plus(TimeDelta::microseconds(1_000_001)).eq(at(1) + TimeDelta::microseconds(1_000_001)), "1"),
        (s().local().minus(TimeDelta::microseconds(-3)).eq(at(2).naive_utc() + TimeDelta::microseconds(3)), "2"),
        (s().day().plus(TimeDelta::days(30)).lt(day(2)), "1"),
        (now().minus(TimeDelta::weeks(1)).gt(s().at()), "1 2 3"),
    ] {
        let shown = format!("{condition:?}");
        let found = em.find::<Sample>().filter(|_| condition).order_by(|s| s.id().asc()).await.unwrap();
        let found: Vec<String> = found.iter().map(|sample| sample.id().to_string()).collect();
        assert_eq!(found.join(" "), expected, "{shown}");
    }
}

#[tokio::test]
async fn choices_and_conditions_are_values() {
    let fixture = &samples().await;
    let kind = || case(s().normal().lt(0), "negative").when(s().normal().gt(0), "positive").otherwise("other");
    check! { fixture;
        kind().eq("other") => "CASE WHEN normal < 0 THEN 'negative' WHEN normal > 0 THEN 'positive' ELSE 'other' END = 'other'";
        case(s().flag(), s().id()).or_null().is_null() => "flag IS NOT TRUE";
        case::<_, Mood>(s().id().lt(3), s().mood()).otherwise(Mood::Happy).eq(Mood::Happy)
            => "CASE WHEN id < 3 THEN mood ELSE 'Happy' END = 'Happy'";
        s().mood().coalesce(Mood::Calm).eq(Mood::Calm) => "coalesce(mood, 'Calm') = 'Calm'";
        s().normal().gt(0).as_expr().is_null() => "normal IS NULL";
        s().normal().gt(0).as_expr().eq(s().flag()) => "(normal > 0) = flag";
        value(5).gt(s().id()) => "5 > id";
        random().lt(2.0) => "true";
    }
    let each = [1, 2].map(|id| s().id().ne(id));
    let all = each.into_iter().reduce(Condition::and).unwrap();
    check! { fixture; all => "id NOT IN (1, 2)"; }
    // A bool is a condition.
    let em = fixture.em();
    assert_eq!(em.find::<Sample>().filter(|s| s.flag()).count().await.unwrap(), 2);
    assert_eq!(em.find::<Sample>().filter(|s| s.id().gt(2) & s.flag().coalesce(true)).count().await.unwrap(), 3);
    assert_eq!(em.find::<Sample>().filter(|s| s.id().lt(2).or(s.flag()).and(s.id().ne(3))).count().await.unwrap(), 2);
}

#[tokio::test]
async fn rows_are_ordered_by_expressions() {
    let fixture = samples().await;
    let em = fixture.em();
    let s = s();
    for (order, sql) in [
        (vec![s.normal().abs().desc().nulls_last(), s.id().desc()], "abs(normal) DESC NULLS LAST, id DESC"),
        (vec![s.text().length().asc().nulls_first(), s.id().asc()], "length(text) ASC NULLS FIRST, id"),
        (vec![s.text().lower().coalesce("zzz").desc(), s.id().asc()], "coalesce(lower(text), 'zzz') DESC, id"),
        (
            vec![s.mood().position_in([Mood::Calm, Mood::Happy]).asc(), s.id().asc()],
            "array_position('{Calm,Happy}', mood), id",
        ),
        (vec![s.normal().lt(0).as_expr().desc(), s.id().desc()], "normal < 0 DESC, id DESC"),
        (vec![(s.id() % 2).asc(), s.id().desc()], "id % 2, id DESC"),
    ] {
        let found = em.find::<Sample>().order_by(|_| order).await.unwrap();
        let found: Vec<String> = found.iter().map(|sample| sample.id().to_string()).collect();
        assert_eq!(found, fixture.rows(&format!("SELECT id FROM sample ORDER BY {sql}")).await, "{sql}");
    }
}
