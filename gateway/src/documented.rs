//! Rules of components whose fields explain themselves to operators.

/// Declares a struct, and keeps what the comments of its fields say as `DOCS`, by field: the
/// reference of the configuration is made of it, so that each setting is explained once.
macro_rules! documented {
    (
        $(#[$attribute:meta])*
        $vis:vis struct $name:ident {
            $($(#[doc = $doc:literal])+ $field_vis:vis $field:ident: $type:ty,)+
        }
    ) => {
        $(#[$attribute])*
        $vis struct $name {
            $($(#[doc = $doc])+ $field_vis $field: $type,)+
        }

        impl $name {
            /// What the comments of the fields say, by the field's name.
            pub(crate) const DOCS: $crate::documented::Docs =
                $crate::documented::Docs(&[$((stringify!($field), concat!($($doc, "\n"),+)),)+]);
        }
    };
}

pub(crate) use documented;

/// The comments of a struct's fields.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Docs(pub(crate) &'static [(&'static str, &'static str)]);

impl Docs {
    /// The comment of a field, without indentation; empty if there is no such field.
    pub(crate) fn of(self, field: &str) -> String {
        let doc = self.0.iter().find(|(name, _)| *name == field).map_or("", |(_, doc)| *doc);
        doc.lines().map(str::trim).collect::<Vec<_>>().join("\n").trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    documented! {
        /// An example.
        #[derive(Debug, Default)]
        struct Rules {
            /// How many.
            ///
            /// More is slower.
            many: u32,
        }
    }

    #[test]
    fn comments_of_fields_are_kept() {
        assert_eq!(Rules::DOCS.of("many"), "How many.\n\nMore is slower.");
        assert_eq!(Rules::DOCS.of("few"), "");
        assert_eq!(Rules::default().many, 0);
    }
}
