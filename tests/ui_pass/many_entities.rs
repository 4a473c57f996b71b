// A model of many entities in one chain of relations: what the compiler asks of one does not follow the chain.
#![deny(warnings)]
use howdah::prelude::*;

macro_rules! chain {
    ($($previous:ident -> $name:ident -> $next:ident),* $(,)?) => {$(
        #[derive(Entity, Clone, Debug)]
        pub struct $name {
            #[primary_key]
            pub id: i64,
            #[many_to_one(inversed_by = previous)]
            pub next: Option<Ref<$next>>,
            #[one_to_many(mapped_by = next)]
            pub previous: Collection<$previous>,
        }
    )*};
}

chain! {
    Step59 -> Step0 -> Step1,
    Step0 -> Step1 -> Step2,
    Step1 -> Step2 -> Step3,
    Step2 -> Step3 -> Step4,
    Step3 -> Step4 -> Step5,
    Step4 -> Step5 -> Step6,
    Step5 -> Step6 -> Step7,
    Step6 -> Step7 -> Step8,
    Step7 -> Step8 -> Step9,
    Step8 -> Step9 -> Step10,
    Step9 -> Step10 -> Step11,
    Step10 -> Step11 -> Step12,
    Step11 -> Step12 -> Step13,
    Step12 -> Step13 -> Step14,
    Step13 -> Step14 -> Step15,
    Step14 -> Step15 -> Step16,
    Step15 -> Step16 -> Step17,
    Step16 -> Step17 -> Step18,
    Step17 -> Step18 -> Step19,
    Step18 -> Step19 -> Step20,
    Step19 -> Step20 -> Step21,
    Step20 -> Step21 -> Step22,
    Step21 -> Step22 -> Step23,
    Step22 -> Step23 -> Step24,
    Step23 -> Step24 -> Step25,
    Step24 -> Step25 -> Step26,
    Step25 -> Step26 -> Step27,
    Step26 -> Step27 -> Step28,
    Step27 -> Step28 -> Step29,
    Step28 -> Step29 -> Step30,
    Step29 -> Step30 -> Step31,
    Step30 -> Step31 -> Step32,
    Step31 -> Step32 -> Step33,
    Step32 -> Step33 -> Step34,
    Step33 -> Step34 -> Step35,
    Step34 -> Step35 -> Step36,
    Step35 -> Step36 -> Step37,
    Step36 -> Step37 -> Step38,
    Step37 -> Step38 -> Step39,
    Step38 -> Step39 -> Step40,
    Step39 -> Step40 -> Step41,
    Step40 -> Step41 -> Step42,
    Step41 -> Step42 -> Step43,
    Step42 -> Step43 -> Step44,
    Step43 -> Step44 -> Step45,
    Step44 -> Step45 -> Step46,
    Step45 -> Step46 -> Step47,
    Step46 -> Step47 -> Step48,
    Step47 -> Step48 -> Step49,
    Step48 -> Step49 -> Step50,
    Step49 -> Step50 -> Step51,
    Step50 -> Step51 -> Step52,
    Step51 -> Step52 -> Step53,
    Step52 -> Step53 -> Step54,
    Step53 -> Step54 -> Step55,
    Step54 -> Step55 -> Step56,
    Step55 -> Step56 -> Step57,
    Step56 -> Step57 -> Step58,
    Step57 -> Step58 -> Step59,
    Step58 -> Step59 -> Step0,
}

fn is_send<E: Entity>() -> &'static str {
    E::meta().name
}

fn main() {
    assert_eq!(is_send::<Step0>(), "Step0");
}
