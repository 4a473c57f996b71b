//! JSON: typed paths, containment, keys, and what NULL means.

use super::*;

#[tokio::test]
async fn a_path_is_read_as_a_type_and_compared() {
    let fixture = &samples().await;
    check! { fixture;
        s().document().json("n").as_::<i32>().eq(2) => "document->>'n' = '2'";
        s().document().json("n").as_::<i32>().gte(2) => "(document->>'n')::int >= 2";
        s().document().json("n").as_::<i64>().between(1, 2) => "(document->>'n')::int BETWEEN 1 AND 2";
        s().document().json("n").as_::<i16>().is_in([1, 3]) => "(document->>'n')::int IN (1, 3)";
        s().document().json("n").as_::<f64>().lt(2.5) => "(document->>'n')::float8 < 2.5";
        s().document().json("n").as_::<f32>().ne(2.0) => "(document->>'n')::float8 <> 2";
        s().document().json("n").as_::<i32>().eq(s().id()) => "(document->>'n')::int = id";
        s().document().json("n").as_::<i32>().is_null() => "document->>'n' IS NULL";
        s().document().json("name").as_::<String>().eq("Beta_x") => "document->>'name' = 'Beta_x'";
        s().document().json("name").as_::<String>().like("%a") => "document->>'name' LIKE '%a'";
        s().document().json("name").as_::<String>().eq(s().text()) => "document->>'name' = text";
        s().document().json("name").as_::<String>().lower().contains("beta") => "lower(document->>'name') LIKE '%beta%'";
        s().document().json("flag").as_::<bool>().eq(true) => "(document->>'flag')::bool";
        s().document().json("tags.1").as_::<String>().eq("t2") => "document->'tags'->>1 = 't2'";
        s().document().json("tags.-1").as_::<String>().eq("t3") => "document->'tags'->>-1 = 't3'";
        s().document().json(["deep", "a.b"]).as_::<i32>().eq(4) => "document->'deep'->>'a.b' = '4'";
        s().document().json("deep").json(["a.b"]).as_::<i32>().gt(2) => "(document->'deep'->>'a.b')::int > 2";
        s().document().json("nothing.here").as_::<i32>().eq(4) => "NULL::int = 4";
        s().document().json("name").as_::<Word>().eq(Word::Alpha) => "document->>'name' = 'Alpha'";
        s().document().json("n").as_::<Level>().eq(Level::High) => "(document->>'n')::int = 5";
        // A value of another type reads as NULL, and a number that is too large is not equal to any: no error.
        s().document().json("name").as_::<i32>().eq(7) => "CASE WHEN id = 5 THEN true END";
        s().document().json("name").as_::<i32>().is_null() => "jsonb_typeof(document->'name') IS DISTINCT FROM 'number'";
        s().document().json("flag").as_::<i32>().is_not_null() => "false";
        s().document().json("big").as_::<i32>().gt(5) => "(document->>'big')::float8 > 5";
        s().document().json("big").as_::<i32>().eq(5) => "(document->>'big')::float8 = 5";
    }
}

#[tokio::test]
async fn null_in_json_is_not_null_in_sql() {
    let fixture = &samples().await;
    check! { fixture;
        s().document().json("n").is_not_null() => "document->'n' IS NOT NULL";
        s().document().json("n").is_null() => "document->'n' IS NULL";
        s().document().json("n").eq(Value::Null) => "document->'n' = 'null'";
        s().document().json("n").eq(json!(2)) => "document->'n' = '2'";
        s().document().json("").eq(json!({"n": 1})) => r#"document = '{"n": 1}'"#;
        s().document().json("tags").eq(json!(["t", "t1"])) => r#"document->'tags' = '["t", "t1"]'"#;
        s().document().json("list").is_in([json!([]), json!(1)]) => "document->'list' IN ('[]', '1')";
    }
}

#[tokio::test]
async fn documents_contain_others_and_have_keys() {
    let fixture = &samples().await;
    let empty = json!({});
    check! { fixture;
        s().document().contains(json!({"tags": ["t2"]})) => r#"document @> '{"tags": ["t2"]}'"#;
        s().document().contains(&empty) => "document @> '{}'";
        s().document().json("tags").contains(json!(["t"])) => r#"document->'tags' @> '["t"]'"#;
        s().document().has_key("list") => "document ? 'list'";
        s().document().has_any_key(["list", "deep"]) => "document ?| '{list,deep}'";
        s().document().has_any_key(Vec::<String>::new()) => "document ?| '{}'";
        s().document().has_all_keys(["n", "name", "deep"]) => "document ?& '{n,name,deep}'";
        s().document().json("deep").has_key("a.b") => "document->'deep' ? 'a.b'";
        s().document().json("tags").has_key("t2") => "document->'tags' ? 't2'";
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Address {
    pub city: String,
    pub since: Option<DateTime<Utc>>,
    pub token: Uuid,
}

/// JSON of a type of one's own, and in a column that is `json` and not `jsonb`.
#[derive(Entity, Clone, Debug)]
pub struct Customer {
    #[primary_key(assigned)]
    pub id: i32,
    pub address: Json<Address>,
    #[property(sql_type = "json")]
    pub notes: Option<Value>,
}

#[tokio::test]
async fn json_of_another_type_and_of_a_json_column_is_searched_alike() {
    let fixture = Fixture::new(entities![Customer]).await;
    let em = fixture.em();
    for id in 1..=3 {
        let since = (id != 2).then(|| at(i64::from(id)));
        let address = Address { city: format!("City {id}"), since, token: Uuid::from_u128(id as u128) };
        em.persist(NewCustomer { id, address: Json(address) }.with(|c| c.notes = Some(json!({"a": {"b": id}}))));
    }
    em.flush().await.unwrap();
    let c = Customer::fields;
    for (condition, expected) in [
        (c().address().json("city").as_::<String>().eq("City 2"), 2),
        (c().address().json("since").as_::<DateTime<Utc>>().gt(at(2)), 3),
        (c().address().json("since").as_::<DateTime<Utc>>().is_null(), 2),
        (c().address().json("token").as_::<Uuid>().eq(Uuid::from_u128(1)), 1),
        (c().address().contains(json!({"city": "City 3"})), 3),
        (!c().address().has_all_keys(["city", "since"]) | c().id().eq(1), 1),
        (c().notes().json("a.b").as_::<i32>().eq(2), 2),
        (c().notes().contains(json!({"a": {"b": 3}})), 3),
        (c().notes().json("a").has_key("b") & c().id().lt(2), 1),
    ] {
        let shown = format!("{condition:?}");
        let found = em.find::<Customer>().filter(|_| condition).await.unwrap();
        assert_eq!(found.iter().map(Managed::id).collect::<Vec<_>>(), [expected], "{shown}");
    }
    let ordered = em.find::<Customer>().order_by(|c| {
        (c.address().json("since").as_::<DateTime<Utc>>().desc().nulls_last(), c.notes().json("a.b").as_::<i32>().asc())
    });
    assert_eq!(ordered.await.unwrap().iter().map(Managed::id).collect::<Vec<_>>(), [3, 1, 2]);
}
