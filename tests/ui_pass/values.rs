// The expressions of `default`, `on_create` and `on_update` may be of the field's type, or of what goes into it.
#![deny(warnings)]
use howdah::prelude::*;

const STATE: &str = "draft";

fn no_rank() -> Option<i32> {
    None
}

impl Order {
    const STATES: usize = 3;
}

#[derive(Entity, Clone, Debug)]
pub struct Order {
    #[primary_key]
    pub id: i64,
    #[property(default = "open")]
    pub literal: String,
    #[property(default = STATE)]
    pub constant: String,
    #[property(default = format!("{STATE}-{}", 1))]
    pub formatted: String,
    #[property(default = String::from("x"))]
    pub owned: String,
    #[property(default = "open")]
    pub optional_text: Option<String>,
    #[property(default = 5)]
    pub optional_number: Option<i64>,
    #[property(default = Some(6))]
    pub optional_some: Option<i64>,
    #[property(default = no_rank())]
    pub optional_call: Option<i32>,
    #[property(on_create = Utc::now(), on_update = Utc::now())]
    pub optional_time: Option<DateTime<Utc>>,
    #[property(default = vec![0; Self::STATES])]
    pub counts: Vec<i32>,
    #[property(default = -1)]
    pub negative: i16,
    #[property(default = 0.5)]
    pub ratio: f64,
    #[property(default = vec![1, 2])]
    pub numbers: Vec<i64>,
    #[property(default = Json(vec![1]))]
    pub json: Json<Vec<i32>>,
    #[property(default = 1, on_create = 2)]
    pub both: i32,
    #[property(default_sql = "now()")]
    pub time: DateTime<Utc>,
    #[property(default_sql = "gen_random_uuid()")]
    pub token: Uuid,
    #[property(default_sql = "5")]
    pub number: Option<i32>,
    #[property(on_update = Utc::now())]
    pub required: DateTime<Utc>,
}

fn main() {
    let order = Order::from(NewOrder { required: Utc::now() });
    assert_eq!((&*order.literal, &*order.constant, &*order.formatted), ("open", "draft", "draft-1"));
    assert_eq!((order.owned.as_str(), order.optional_text.as_deref()), ("x", Some("open")));
    assert_eq!((order.optional_number, order.optional_some, order.optional_call), (Some(5), Some(6), None));
    assert!(order.optional_time.is_some());
    assert_eq!((order.negative, order.ratio, order.both, order.number), (-1, 0.5, 2, None));
    assert_eq!((order.numbers.as_slice(), order.token), (&[1, 2][..], Uuid::nil()));
    assert_eq!(order.counts, [0, 0, 0]);
    let default = |name: &str| {
        let property = Order::meta().properties.iter().find(|property| property.name == name).unwrap();
        property.as_column().unwrap().default.unwrap()().text()
    };
    assert_eq!(default("literal").as_deref(), Some("open"));
    assert_eq!(default("optional_call"), None);
    assert_eq!(default("both").as_deref(), Some("1"));
}
