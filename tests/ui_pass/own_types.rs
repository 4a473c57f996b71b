// Types of one's own as columns and as keys.
#![deny(warnings)]
use howdah::prelude::*;
use howdah::{ConversionError, EntityKey, Key, KeyPart, PgType, RowReader, ScalarType};

#[derive(Clone, Debug, PartialEq, Default)]
pub struct OrderId(i64);

impl ScalarType for OrderId {
    const TYPE: PgType = <i64 as ScalarType>::TYPE;

    fn decode(raw: &[u8]) -> Result<Self, ConversionError> {
        <i64 as ScalarType>::decode(raw).map(Self)
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), ConversionError> {
        ScalarType::encode(&self.0, out)
    }

    fn same(&self, other: &Self, precision: Option<u8>) -> bool {
        ScalarType::same(&self.0, &other.0, precision)
    }

    fn write_text(&self, out: &mut String) {
        ScalarType::write_text(&self.0, out);
    }
}

impl EntityKey for OrderId {
    const COLUMNS: usize = 1;

    fn push_types(out: &mut Vec<PgType>) {
        i64::push_types(out);
    }

    fn push_parts(&self, out: &mut Vec<KeyPart>) {
        self.0.push_parts(out);
    }

    fn take(parts: &mut std::slice::Iter<'_, KeyPart>) -> Option<Self> {
        i64::take(parts).map(Self)
    }

    fn read(row: &mut RowReader<'_>) -> Result<Option<Self>, Error> {
        Ok(<i64 as EntityKey>::read(row)?.map(Self))
    }
}

#[derive(Entity, Clone, Debug)]
pub struct Order {
    #[primary_key]
    pub id: OrderId,
    pub parent: Option<OrderId>,
    #[property(default = OrderId(7))]
    pub previous: OrderId,
    #[property(default_sql = "1")]
    pub next: OrderId,
}

fn main() {
    let order = Order::from(NewOrder { id: OrderId(3) });
    assert_eq!((order.key_of(), order.previous.clone(), order.next.clone()), (OrderId(3), OrderId(7), OrderId(0)));
    assert_eq!(order.key_of().to_key(), Key::One(KeyPart::Int(3)));
    let _ = Order::fields().parent().eq(OrderId(1));
}
