//! Entities of every visibility, in a crate that documents everything and allows no warning.
#![deny(missing_docs, warnings, unused, unreachable_pub, missing_debug_implementations)]
#![forbid(unsafe_code)]

mod library {
    use howdah::prelude::*;

    #[derive(Entity, Clone, Debug)]
    pub(crate) struct Author {
        #[primary_key]
        id: i64,
        #[property(default = "unknown")]
        name: String,
        #[one_to_many(mapped_by = author)]
        books: Collection<super::books::Book>,
    }

    #[derive(Entity, Clone, Debug)]
    struct Hidden {
        #[primary_key]
        id: i64,
    }

    pub(crate) fn check() {
        let author: Author = NewAuthor {}.into();
        assert_eq!((author.id, author.name.as_str()), (0, "unknown"));
        assert!(author.books.is_loaded());
        let _ = Hidden::fields().id().eq(1);
        assert_eq!(Hidden::from(NewHidden {}).id, 0);
    }
}

mod books {
    use howdah::prelude::*;

    #[derive(Entity, Clone, Debug)]
    pub(super) struct Book {
        #[primary_key]
        pub(super) id: i64,
        #[many_to_one(inversed_by = books)]
        author: Ref<crate::library::Author>,
        pub(in crate::books) title: String,
    }

    pub(super) fn titled(author: Ref<crate::library::Author>) -> NewBook {
        NewBook { author, title: "Notes".into() }
    }

    pub(super) fn describe(book: &Book) -> String {
        format!("{} by {}", book.title, book.author.id())
    }
}

/// A documented entity.
#[derive(howdah::Entity, Clone, Debug)]
pub struct Documented {
    /// The key.
    #[primary_key]
    pub id: i64,
    /// The name.
    pub name: String,
}

fn main() {
    library::check();
    let _ = |author| books::describe(&books::titled(author).with(|book| book.id = 1));
    let _ = books::Book::fields().author().name().eq("Ada");
    let _ = NewDocumented { name: "x".into() };
}
