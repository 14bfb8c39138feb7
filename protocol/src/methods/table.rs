//! The macro that turns a class's table of methods into structs. A table reads
//! like the specification; fields in brackets, before or after a semicolon, are
//! reserved: read and skipped, written as zero. Used by the class files beside it only.

/// A class: its name, its number, its methods.
macro_rules! class {
    (
        $class:ident = $class_id:literal;
        $(
            $(#[$doc:meta])*
            $name:ident $(<$life:lifetime>)? = $id:literal, $method:literal $(, $trait:ident)?
            { $($fields:tt)* }
        )*
    ) => {
        use crate::arguments::{ArgumentReader, ArgumentWriter};
        use crate::error::{DecodeError, Malformed};
        use crate::methods::{MethodFrame, MethodSpec};

        $(method! {
            $(#[$doc])*
            $class = $class_id;
            [$($life)?] $name $(<$life>)? = $id, $method $(, $trait)? { $($fields)* }
        })*
    };
}

/// A method: struct, reading, writing, and its entry in the table of all.
macro_rules! method {
    (
        $(#[$doc:meta])*
        $class:ident = $class_id:literal;
        $lifetimes:tt $name:ident $(<$life:lifetime>)? = $id:literal, $method:literal
        $(, $trait:ident)?
        {
            $([$($before:ident: $before_domain:ident),*])?
            $($(#[$field_doc:meta])* $field:ident $(as $spec:literal)?: $domain:ident,)*
            $(; [$($after:ident: $after_domain:ident),*])?
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name $(<$life>)? {
            $($(#[$field_doc])* pub $field: domain!($domain $lifetimes),)*
        }

        impl $(<$life>)? $name $(<$life>)? {
            /// Reads the arguments: what follows class and method in the payload.
            ///
            /// # Errors
            /// Arguments that end early or are left over, a short string that
            /// is not UTF-8, a malformed table.
            #[inline]
            pub fn decode(arguments: & $($life)? [u8]) -> Result<Self, DecodeError> {
                Self::read(arguments)
                    .map_err(|malformed| malformed.in_arguments($class_id, $id, arguments))
            }

            // Always inlined, so that `Method::decode` fills its variant in place:
            // moving the struct into it took longer than reading it.
            #[inline(always)]
            #[allow(unused_mut, reason = "some methods have no arguments")]
            pub(super) fn read(arguments: & $($life)? [u8]) -> Result<Self, Malformed> {
                let mut reader = ArgumentReader::new(arguments);
                $($(reader.$before_domain()?;)*)?
                $(let $field = reader.$domain()?;)*
                $($(reader.$after_domain()?;)*)?
                reader.finish()?;
                Ok(Self { $($field),* })
            }
        }

        impl $(<$life>)? MethodFrame for $name $(<$life>)? {
            const CLASS_ID: u16 = $class_id;
            const METHOD_ID: u16 = $id;
            const NAME: &'static str = concat!(stringify!($class), ".", $method);
            const SPEC: MethodSpec = MethodSpec {
                class_id: $class_id,
                method_id: $id,
                class_name: stringify!($class),
                method_name: $method,
                fields: &[
                    $($((stringify!($before), stringify!($before_domain)),)*)?
                    $((spec_name!($field $($spec)?), stringify!($domain)),)*
                    $($((stringify!($after), stringify!($after_domain)),)*)?
                ],
                synchronous: is!(synchronous $($trait)?),
                content: is!(content $($trait)?),
            };

            #[inline]
            #[allow(unused_mut, reason = "some methods have no arguments")]
            fn encode_arguments(&self, out: &mut Vec<u8>) {
                let mut writer = ArgumentWriter::new(out);
                $($(writer.$before_domain(Default::default());)*)?
                $(writer.$domain(self.$field);)*
                $($(writer.$after_domain(Default::default());)*)?
                writer.finish();
            }
        }
    };
}

/// The Rust type of a domain, with the lifetimes of the struct it stands in.
macro_rules! domain {
    (bit $lifetimes:tt) => { bool };
    (octet $lifetimes:tt) => { u8 };
    (short $lifetimes:tt) => { u16 };
    (long $lifetimes:tt) => { u32 };
    (longlong $lifetimes:tt) => { u64 };
    (timestamp $lifetimes:tt) => { u64 };
    (shortstr [$life:lifetime]) => { &$life str };
    (longstr [$life:lifetime]) => { &$life [u8] };
    (table [$life:lifetime]) => { crate::types::RawTable<$life> };
}

/// Whether a method has the trait asked for.
macro_rules! is {
    (synchronous synchronous) => {
        true
    };
    (content content) => {
        true
    };
    ($asked:ident $($found:ident)?) => {
        false
    };
}

/// A field's name in the specification, where Rust cannot use it.
macro_rules! spec_name {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $spec:literal) => {
        $spec
    };
}
