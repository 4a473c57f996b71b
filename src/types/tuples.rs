//! Tuples of up to sixteen elements: what is implemented for one of them is implemented for all.

/// Calls a macro with the names `A`, `A, B`, … up to those of sixteen type parameters.
macro_rules! for_each_tuple {
    ($implement:ident) => {
        $crate::types::for_each_tuple!($implement: ; A B C D E F G H I J K L M N O P);
    };
    ($implement:ident: $($before:ident)*; $next:ident $($behind:ident)*) => {
        $implement!($($before,)* $next);
        $crate::types::for_each_tuple!($implement: $($before)* $next; $($behind)*);
    };
    ($implement:ident: $($before:ident)*;) => {};
}

pub(crate) use for_each_tuple;
