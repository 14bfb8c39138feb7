//! What all methods have in common: their numbers and names, and how their
//! arguments are written. The encoder writes any of them by it.
//! [`methods`](crate::methods) implements it for each.

/// What every method's struct can do.
pub trait MethodFrame {
    /// Number of the class.
    const CLASS_ID: u16;
    /// Number of the method within the class.
    const METHOD_ID: u16;
    /// Class and method, as `basic.consume-ok`.
    const NAME: &'static str;
    /// The method as the specification has it.
    const SPEC: MethodSpec;

    /// Appends the arguments: what follows class and method in the payload.
    fn encode_arguments(&self, out: &mut Vec<u8>);
}

/// One entry of [`TABLE`](crate::methods::TABLE): a method as the specification has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MethodSpec {
    /// Number of the class.
    pub class_id: u16,
    /// Number of the method within the class.
    pub method_id: u16,
    /// Name of the class, as `basic`.
    pub class_name: &'static str,
    /// Name of the method within the class, as `consume-ok`.
    pub method_name: &'static str,
    /// Names, as `consumer_tag`, and domains, as `shortstr`, in wire order,
    /// reserved fields included.
    pub fields: &'static [(&'static str, &'static str)],
    /// Whether it asks for a reply.
    pub synchronous: bool,
    /// Whether a content follows.
    pub content: bool,
}
