//! Equality, NULL, order and lists on every type.

use super::*;

/// What every type has.
macro_rules! equality {
    ($fixture:expr; $($column:ident: $middle:expr, $sql:literal;)*) => {$(
        let sql = |operator: &str| format!("{} {operator} {}", stringify!($column), $sql);
        check! { $fixture;
            s().$column().eq($middle) => &sql("=");
            s().$column().eq(&$middle) => &sql("=");
            s().$column().eq(Some($middle)) => &sql("=");
            s().$column().ne($middle) => &sql("<>");
            s().$column().is_distinct_from($middle) => &sql("IS DISTINCT FROM");
            s().$column().is_not_distinct_from($middle) => &sql("IS NOT DISTINCT FROM");
            s().$column().is_distinct_from(None) => &format!("{} IS DISTINCT FROM NULL", stringify!($column));
            s().$column().eq(None) => concat!(stringify!($column), " IS NULL");
            s().$column().ne(None) => concat!(stringify!($column), " IS NOT NULL");
            s().$column().is_null() => concat!(stringify!($column), " IS NULL");
            s().$column().is_not_null() => concat!(stringify!($column), " IS NOT NULL");
            s().$column().eq(s().$column()) => concat!(stringify!($column), " = ", stringify!($column));
            s().$column().coalesce($middle).eq($middle) => &format!("coalesce({}, {}) = {}", stringify!($column), $sql, $sql);
            s().$column().nullif($middle).is_null() => &format!("nullif({}, {}) IS NULL", stringify!($column), $sql);
        }
    )*};
}

/// What types with an order have.
macro_rules! order {
    ($fixture:expr; $($column:ident: $low:expr, $middle:expr, $sql_low:literal, $sql:literal;)*) => {$(
        let sql = |operator: &str| format!("{} {operator} {}", stringify!($column), $sql);
        check! { $fixture;
            s().$column().gt($middle) => &sql(">");
            s().$column().gte($middle) => &sql(">=");
            s().$column().lt($middle) => &sql("<");
            s().$column().lte(&$middle) => &sql("<=");
            s().$column().between($low, $middle) => &sql(concat!("BETWEEN ", $sql_low, " AND"));
            s().$column().between($middle, $low) => &format!("{} BETWEEN {} AND {}", stringify!($column), $sql, $sql_low);
            s().$column().lte(s().$column()) => concat!(stringify!($column), " <= ", stringify!($column));
            s().$column().gte(Option::from($middle)) => &sql(">=");
            s().$column().greatest($middle).eq($middle) => &format!("greatest({}, {}) = {}", stringify!($column), $sql, $sql);
            s().$column().least($middle).eq($middle) => &format!("least({}, {}) = {}", stringify!($column), $sql, $sql);
        }
    )*};
}

/// What types that can be in a list have.
macro_rules! lists {
    ($fixture:expr; $($column:ident: $low:expr, $middle:expr, $sql_low:literal, $sql:literal;)*) => {$(
        let mut empty = vec![$low];
        empty.clear();
        let list = concat!(stringify!($column), " IN (", $sql_low, ", ", $sql, ")");
        check! { $fixture;
            s().$column().is_in([$low, $middle]) => list;
            s().$column().is_in(&[$low, $middle]) => list;
            s().$column().is_in(vec![$middle, $low, $middle]) => list;
            s().$column().is_in([$low, $middle].iter().rev()) => list;
            s().$column().not_in([$low, $middle]) => &list.replace(" IN ", " NOT IN ");
            s().$column().is_in(empty.clone()) => "false";
            s().$column().not_in(empty) => "true";
            s().$column().is_in(Subquery::of::<Sample>().filter(|o| o.id().lte(2)).select(|o| o.$column()))
                => concat!(stringify!($column), " IN (SELECT ", stringify!($column), " FROM sample WHERE id <= 2)");
            s().$column().position_in([$middle, $low]).eq(2)
                => &format!("CASE WHEN {list} THEN {} = {} END", stringify!($column), $sql_low);
        }
    )*};
}

#[tokio::test]
async fn every_type_can_be_compared_for_equality_and_with_null() {
    let fixture = &samples().await;
    equality! { fixture;
        flag: true, "true";
        small: 200_i16, "200::int2";
        normal: 0, "0";
        big: 20_000_000_000_i64, "20000000000";
        single: 1_f32, "1::float4";
        double: 0.2, "0.2::float8";
        amount: 2.01, "2.01";
        text: "Beta_x".to_owned(), "'Beta_x'";
        short: "BETA_X".to_owned(), "'BETA_X'";
        bytes: vec![0_u8, 2], r"'\x0002'::bytea";
        uuid: Uuid::from_u128(2), "'00000000-0000-0000-0000-000000000002'::uuid";
        at: at(2), "to_timestamp(1700172800.25)";
        local: at(2).naive_utc(), "(to_timestamp(1700172800.25) AT TIME ZONE 'UTC')";
        day: day(2), "'2024-02-12'::date";
        time: time(2), "'02:30:00.000001'::time";
        document: json!({"name": "Beta_x", "deep": {"a.b": 4}, "tags": ["t", "t2"], "n": 2.0}),
            r#"'{"n": 2, "name": "Beta_x", "tags": ["t", "t2"], "deep": {"a.b": 4}}'::jsonb"#;
        mood: Mood::Calm, "'Calm'::mood";
        level: Level::Middle, "0::int2";
        word: Word::Beta, "'Beta'";
        numbers: vec![1, 2], "'{1,2}'::int4[]";
        words: vec!["w2".to_owned(), "it's \"quoted\"".to_owned()], r#"ARRAY['w2', 'it''s "quoted"']"#;
        moods: vec![Mood::Sad, Mood::Calm], "'{Sad,Calm}'::mood[]";
        moments: vec![at(2)], "ARRAY[to_timestamp(1700172800.25)]";
    }
    check! { fixture;
        s().text().eq("Beta_x") => "text = 'Beta_x'";
        s().text().ne("") => "text <> ''";
        s().id().eq(s().small()/* another type compares after a cast */.cast::<i32>() / 100) => "id = small / 100";
    }
}

#[tokio::test]
async fn every_type_with_an_order_can_be_compared_by_it() {
    let fixture = &samples().await;
    order! { fixture;
        flag: false, true, "false", "true";
        small: 100_i16, 200_i16, "100::int2", "200::int2";
        normal: -1000, 0, "-1000", "0";
        big: 10_000_000_000_i64, 20_000_000_000_i64, "10000000000", "20000000000";
        single: 0.5_f32, 1_f32, "0.5::float4", "1::float4";
        double: 0.1, 0.2, "0.1::float8", "0.2::float8";
        amount: 1.005, 2.01, "1.005", "2.01";
        text: "Alpha".to_owned(), "alpha".to_owned(), "'Alpha'", "'alpha'";
        short: "ALPHA".to_owned(), "BETA_X".to_owned(), "'ALPHA'", "'BETA_X'";
        bytes: vec![0_u8, 1], vec![0_u8, 2], r"'\x0001'::bytea", r"'\x0002'::bytea";
        uuid: Uuid::from_u128(1), Uuid::from_u128(2),
            "'00000000-0000-0000-0000-000000000001'::uuid", "'00000000-0000-0000-0000-000000000002'::uuid";
        at: at(1), at(2), "to_timestamp(1700086400.25)", "to_timestamp(1700172800.25)";
        local: at(1).naive_utc(), at(2).naive_utc(),
            "(to_timestamp(1700086400.25) AT TIME ZONE 'UTC')", "(to_timestamp(1700172800.25) AT TIME ZONE 'UTC')";
        day: day(1), day(2), "'2024-01-11'::date", "'2024-02-12'::date";
        time: time(1), time(2), "'01:30:00.000001'::time", "'02:30:00.000001'::time";
        mood: Mood::Sad, Mood::Calm, "'Sad'::mood", "'Calm'::mood";
        level: Level::Low, Level::Middle, "-5::int2", "0::int2";
        numbers: vec![1], vec![1, 2], "'{1}'::int4[]", "'{1,2}'::int4[]";
        moods: vec![Mood::Sad], vec![Mood::Sad, Mood::Calm], "'{Sad}'::mood[]", "'{Sad,Calm}'::mood[]";
    }
    check! { fixture;
        s().text().gt("alpha") => "text > 'alpha'";
        s().text().between("A", "Z") => "text BETWEEN 'A' AND 'Z'";
        s().normal().between(s().id() * -1000, s().id()) => "normal BETWEEN id * -1000 AND id";
        // An order with NULL is neither true nor false.
        s().normal().gt(None) => "NULL::bool";
    }
}

#[tokio::test]
async fn every_type_that_can_be_listed_can_be_one_of_several() {
    let fixture = &samples().await;
    lists! { fixture;
        flag: false, true, "false", "true";
        small: 100_i16, 200_i16, "100", "200";
        normal: -1000, 0, "-1000", "0";
        big: 10_000_000_000_i64, 20_000_000_000_i64, "10000000000", "20000000000";
        single: 0.5_f32, 1_f32, "0.5", "1";
        double: 0.1, 0.2, "0.1::float8", "0.2::float8";
        amount: 1.005, 2.01, "1.005", "2.01";
        text: "alpha", "Beta_x", "'alpha'", "'Beta_x'";
        short: "ALPHA", "BETA_X", "'ALPHA'", "'BETA_X'";
        bytes: vec![0_u8, 1], vec![0_u8, 2], r"'\x0001'::bytea", r"'\x0002'::bytea";
        uuid: Uuid::from_u128(1), Uuid::from_u128(2),
            "'00000000-0000-0000-0000-000000000001'::uuid", "'00000000-0000-0000-0000-000000000002'::uuid";
        at: at(1), at(2), "to_timestamp(1700086400.25)", "to_timestamp(1700172800.25)";
        local: at(1).naive_utc(), at(2).naive_utc(),
            "(to_timestamp(1700086400.25) AT TIME ZONE 'UTC')", "(to_timestamp(1700172800.25) AT TIME ZONE 'UTC')";
        day: day(1), day(2), "'2024-01-11'::date", "'2024-02-12'::date";
        time: time(1), time(2), "'01:30:00.000001'::time", "'02:30:00.000001'::time";
        document: json!({"n": 1, "name": "alpha", "tags": ["t", "t1"], "deep": {"a.b": 2}}), json!(1),
            r#"'{"n": 1, "name": "alpha", "tags": ["t", "t1"], "deep": {"a.b": 2}}'::jsonb"#, "'1'::jsonb";
        mood: Mood::Sad, Mood::Calm, "'Sad'::mood", "'Calm'::mood";
        level: Level::Low, Level::Middle, "-5", "0";
        word: Word::Alpha, Word::Beta, "'Alpha'", "'Beta'";
    }
    // Arrays cannot be elements of an array, but what a sub-query selects.
    let some = Subquery::of::<Sample>().filter(|o| o.id().lte(2)).select(|o| o.numbers());
    check! { fixture;
        s().numbers().is_in(some.clone()) => "numbers IN (SELECT numbers FROM sample WHERE id <= 2)";
        s().numbers().not_in(some) => "numbers NOT IN (SELECT numbers FROM sample WHERE id <= 2)";
        s().id().is_in(s().numbers()) => "id = ANY(numbers)";
        s().id().not_in(s().numbers()) => "id <> ALL(numbers)";
    }
}

#[tokio::test]
async fn a_nan_equals_itself_and_is_greater_than_everything() {
    let fixture = &samples().await;
    check! { fixture;
        s().double().eq(f64::NAN) => "double = 'NaN'";
        s().double().ne(f64::NAN) => "double <> 'NaN'";
        s().double().gt(f64::INFINITY) => "double > 'Infinity'";
        s().double().lt(f64::NAN) => "double < 'NaN'";
        s().double().is_in([f64::NAN, 0.1]) => "double IN ('NaN', 0.1)";
        s().single().lte(f32::NEG_INFINITY) => "single <= '-Infinity'";
        s().single().gt(f32::NEG_INFINITY) => "single > '-Infinity'";
    }
}

#[tokio::test]
async fn an_infinite_time_is_compared_like_any_other_and_cannot_be_read() {
    let fixture = samples().await;
    let sql = "UPDATE sample SET at = 'infinity', local = '-infinity', day = 'infinity' WHERE id = 5";
    fixture.database.execute(sql).await.unwrap();
    let em = fixture.em();
    for (condition, sql) in [
        (s().at().gt(at(1_000_000)), "at > '2100-01-01'"),
        (s().local().lt(at(0).naive_utc()), "local < '2000-01-01'"),
        (s().day().gte(day(3)), "day >= '2024-03-13'"),
        (s().at().is_finite(), "isfinite(at)"),
        (!s().local().is_finite(), "NOT isfinite(local)"),
        (s().day().is_finite(), "isfinite(day)"),
        (s().at().month().is_null(), "at IS NULL OR at = 'infinity'"),
    ] {
        let shown = format!("{condition:?}");
        let expected = fixture.rows(&format!("SELECT count(*) FROM sample WHERE {sql}")).await;
        assert_eq!([em.count::<Sample>(condition).await.unwrap().to_string()], expected[..], "{shown}");
    }
    let error = em.find::<Sample>().filter(|s| s.day().gt(day(3))).await.unwrap_err();
    assert!(matches!(error, Error::Conversion { entity: "Sample", .. }), "{error}");
    assert_eq!(em.find::<Sample>().filter(|s| s.at().is_finite()).await.unwrap().len(), 3);
}
