// An entity that a `macro_rules!` macro writes: names, types and literals come through its variables.
#![deny(warnings)]
use howdah::prelude::*;

macro_rules! dictionary {
    ($name:ident, $table:literal, $key:ty, $value:ty, $parent:ty, $default:expr, $length:expr) => {
        #[derive(Entity, Clone, Debug)]
        #[entity(table = $table)]
        pub struct $name {
            #[primary_key]
            pub id: $key,
            pub value: $value,
            #[many_to_one]
            pub parent: $parent,
            #[property(default = $default, length = $length)]
            pub text: String,
        }
    };
}

dictionary!(Word, "words", i64, Option<String>, Option<Ref<Word>>, "none", 10);

fn main() {
    assert_eq!(Word::meta().table, Some("words"));
    assert!(Word::meta().properties[0].as_column().unwrap().identity);
    let word = Word::from(NewWord {});
    assert_eq!((word.value, word.text.as_str()), (None, "none"));
    let _ = Word::fields().parent().text().eq("x");
}
