//! The macro that makes a lens to an enum out of a list of variants: what the older side has becomes one of them each.
//!
//! Forward every value has a form; backward only those in the variants that were named. What becomes of the others is
//! declared with the lens ([`Unrepresentable`](crate::Unrepresentable)).
//! Owns the grammar and its expansion.

/// Makes a unit struct that is a [`Lens`](crate::Lens) from a struct, or an enum, to an enum with more variants.
///
/// ```
/// mod old {
///     #[derive(Clone, Debug, PartialEq)]
///     pub struct Value { pub text: String }
/// }
/// mod new {
///     #[derive(Clone, Debug, PartialEq)]
///     pub enum Value { Text(String), List(Vec<String>) }
/// }
/// xform::variant! {
///     /// The only values of version 1 are the texts of version 2.
///     pub struct ValueLens: old::Value => new::Value {
///         { text } => Text(text);
///         unrepresentable = foreign;
///     }
/// }
/// use xform::{ErrorKind, Lens};
/// let (text, ()) = ValueLens.forward(old::Value { text: "a".into() }, None)?;
/// assert_eq!(text, new::Value::Text("a".into()));
/// let list = new::Value::List(vec![]);
/// assert_eq!(ValueLens.backward(list, None).unwrap_err().kind(), ErrorKind::Unrepresentable);
/// # Ok::<(), xform::LensError>(())
/// ```
///
/// | rule | effect |
/// |---|---|
/// | `{ a, b: c } => V(a, c);` | the older side is a struct, and this is its form; the only rule of its kind |
/// | `A(x) => V { y: x };` | the older variant `A` is the newer `V`; all older variants must be named, or it does not compile |
/// | `A => V;` | the same, without fields |
/// | `unrepresentable = foreign;` | other newer variants have no older form; the default |
/// | `unrepresentable = placeholder(f);` | `f(&value)`, a `Result<Left, LensError>`, stands for them on the older side |
/// | `unrepresentable = forbid;` | as `foreign`, and they are not to be made while the older side may look |
///
/// What stands on the two sides of `=>` is pattern and expression at once, so every field is moved as it is: a value of any
/// size goes over in a few words. What is to change besides goes through another lens, by [`compose`](crate::compose()).
///
/// The complement is `()`, with `placeholder` a [`Residual`](crate::Residual): the value waits there beside a copy of its
/// stand-in, for which the older type has to be an [`Image`](crate::Image). A stand-in that comes back unedited is the value
/// again, to the bit; an edited one is the older side's own new value, and the other is gone (R7).
#[macro_export]
macro_rules! variant {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident: $left:ty => $right:ty { $($rules:tt)* }
    ) => {
        $crate::__variant! {
            @rules { $($rules)* }
            arms []
            head { $(#[$meta])* $vis $name ($left) ($right) }
        }
    };
}

/// The steps of [`variant!`]: each rule becomes an arm, its two sides in brackets.
#[doc(hidden)]
#[macro_export]
macro_rules! __variant {
    // ---- the declaration ends the list
    (@rules { unrepresentable = foreign; } $($state:tt)*) => {
        $crate::__variant! { @partial Foreign $($state)* }
    };
    (@rules { unrepresentable = forbid; } $($state:tt)*) => {
        $crate::__variant! { @partial Forbid $($state)* }
    };
    (@rules { unrepresentable = placeholder($stand_in:expr); } $($state:tt)*) => {
        $crate::__variant! { @placeholder ($stand_in) $($state)* }
    };
    (@rules { } $($state:tt)*) => {
        $crate::__variant! { @partial Foreign $($state)* }
    };

    // ---- rules
    (@rules { { $($fields:tt)* } => $r:ident $payload:tt; $($more:tt)* } arms [$($arms:tt)*] $($state:tt)*) => {
        $crate::__variant! { @rules { $($more)* } arms [$($arms)* ([__Left { $($fields)* }] [__Right::$r $payload])] $($state)* }
    };
    (@rules { $l:ident $before:tt => $r:ident $after:tt; $($more:tt)* } arms [$($arms:tt)*] $($state:tt)*) => {
        $crate::__variant! { @rules { $($more)* } arms [$($arms)* ([__Left::$l $before] [__Right::$r $after])] $($state)* }
    };
    (@rules { $l:ident => $r:ident; $($more:tt)* } arms [$($arms:tt)*] $($state:tt)*) => {
        $crate::__variant! { @rules { $($more)* } arms [$($arms)* ([__Left::$l] [__Right::$r])] $($state)* }
    };

    // ---- what is no rule is said at its first word
    (@rules { $wrong:tt $($more:tt)* } $($state:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "expected `{ field } => Variant(field);`, `Variant(x) => Variant(x);`, or at the end \
             `unrepresentable = foreign;`, `placeholder(f)` or `forbid`, found `", ::core::stringify!($wrong), "`"
        ));
    };

    // ---- nothing is kept
    (@partial $declared:ident
        arms [$(([$($l:tt)*] [$($r:tt)*]))*]
        head { $(#[$meta:meta])* $vis:vis $name:ident ($left:ty) ($right:ty) }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        $vis struct $name;

        impl $crate::Lens for $name {
            type Left = $left;
            type Right = $right;
            type Complement = ();

            fn forward(
                &self,
                left: Self::Left,
                _: ::core::option::Option<()>,
            ) -> ::core::result::Result<(Self::Right, ()), $crate::LensError> {
                type __Left = $left;
                type __Right = $right;
                ::core::result::Result::Ok((match left { $($($l)* => $($r)*,)* }, ()))
            }

            fn backward(
                &self,
                right: Self::Right,
                _: ::core::option::Option<()>,
            ) -> ::core::result::Result<(Self::Left, ()), $crate::LensError> {
                type __Left = $left;
                type __Right = $right;
                #[allow(unreachable_patterns)] // where every variant was named
                match right {
                    $($($r)* => ::core::result::Result::Ok(($($l)*, ())),)*
                    _ => ::core::result::Result::Err($crate::variant::no_older_form()),
                }
            }

            fn unrepresentable(&self) -> $crate::Unrepresentable {
                $crate::Unrepresentable::$declared
            }

            fn represents(&self, right: &Self::Right) -> bool {
                type __Right = $right;
                #[allow(unreachable_patterns, unused_variables)] // the patterns name what the lens moves
                match right {
                    $($($r)* => true,)*
                    _ => false,
                }
            }
        }
    };

    // ---- the value waits beside its stand-in
    (@placeholder ($stand_in:expr)
        arms [$(([$($l:tt)*] [$($r:tt)*]))*]
        head { $(#[$meta:meta])* $vis:vis $name:ident ($left:ty) ($right:ty) }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        $vis struct $name;

        impl $crate::Lens for $name {
            type Left = $left;
            type Right = $right;
            type Complement = $crate::Residual<$left, $right>;

            fn forward(
                &self,
                left: Self::Left,
                kept: ::core::option::Option<Self::Complement>,
            ) -> ::core::result::Result<(Self::Right, Self::Complement), $crate::LensError> {
                type __Left = $left;
                type __Right = $right;
                let right = match kept.and_then(|kept| kept.pair) {
                    ::core::option::Option::Some(pair) if $crate::Image::matches(&left, &pair.left) => pair.right,
                    _ => match left { $($($l)* => $($r)*,)* },
                };
                ::core::result::Result::Ok((right, $crate::Residual::empty()))
            }

            fn backward(
                &self,
                right: Self::Right,
                _: ::core::option::Option<Self::Complement>,
            ) -> ::core::result::Result<(Self::Left, Self::Complement), $crate::LensError> {
                type __Left = $left;
                type __Right = $right;
                #[allow(unreachable_patterns)] // where every variant was named
                match right {
                    $($($r)* => ::core::result::Result::Ok(($($l)*, $crate::Residual::empty())),)*
                    waiting => {
                        let left = $crate::variant::stand_in($stand_in, &waiting)?;
                        let image = $crate::Image::duplicate(&left)?;
                        ::core::result::Result::Ok((left, $crate::Residual::of(image, waiting)))
                    }
                }
            }

            fn is_vacant(&self, kept: &Self::Complement) -> bool {
                kept.pair.is_none()
            }

            fn unrepresentable(&self) -> $crate::Unrepresentable {
                $crate::Unrepresentable::Placeholder
            }

            // A stand-in comes forward as what it says itself.
            fn losses(&self, toward: $crate::Toward, report: &mut $crate::Losses) {
                if toward == $crate::Toward::Newer {
                    report.add($crate::Loss::Approximated);
                }
            }
        }
    };
}

/// The error of a value in a variant that no rule names.
#[doc(hidden)]
pub fn no_older_form() -> crate::LensError {
    crate::LensError::unrepresentable("the older side has no such variant")
}

/// Makes a stand-in; here so that a closure's argument has its type.
#[doc(hidden)]
pub fn stand_in<L, R>(
    make: impl FnOnce(&R) -> Result<L, crate::LensError>,
    waiting: &R,
) -> Result<L, crate::LensError> {
    make(waiting)
}
