//! The macro that makes a lens between two structs out of a list of rules for fields.
//!
//! Owns the grammar and its expansion; the work is done by the lenses in [`ops`](crate::ops).

/// Makes a unit struct that is a [`Lens`](crate::Lens) between two structs with named fields.
///
/// Every field of both structs must be mentioned; a forgotten one is a compile error that names it.
///
/// | rule | effect |
/// |---|---|
/// | `same f;` | moved as it is |
/// | `same f via L;` | through the lens type `L`, made by `Default` |
/// | `same f via L = expr;` | through `expr`, a lens of type `L` |
/// | `rename a => b;` | left `a` is right `b`; takes `via` as well |
/// | `add f: T = expr;` | right only; the complement keeps it while the value is on the left |
/// | <code>add f: T = &#124;old&#124; expr;</code> | the same, computed from a borrow of the left struct |
/// | `drop f: T = expr;` | left only; the complement keeps it while the value is on the right |
/// | <code>drop f: T = &#124;new&#124; expr;</code> | the same, computed from a borrow of the right struct |
///
/// The expression of `add` and `drop` is evaluated only for a value without a complement (R6), and may use `?` on a
/// `Result` whose error converts into [`LensError`](crate::LensError). The type has to be written because it becomes part of
/// the complement's type. A lens named by `via` must be as visible as the struct that the macro makes.
///
/// The complement is `(A, (B, (… ())))`: first the complements of the `via` fields, then a [`Kept`](crate::Kept) for each
/// added and each dropped field, each group in the order of its rules. Fields without `via` keep nothing and have no place in it.
///
/// A forgotten field does not compile:
///
/// ```compile_fail,E0063
/// struct Old { a: u8, b: u8 }
/// struct New { a: u8 }
/// xform::record! { struct Forgets: Old => New { same a; } }
/// ```
///
/// ```compile_fail,E0063
/// struct Old { a: u8 }
/// struct New { a: u8, b: u8 }
/// xform::record! { struct Forgets: Old => New { same a; } }
/// ```
#[macro_export]
macro_rules! record {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident: $left:ty => $right:ty { $($rules:tt)* }
    ) => {
        $crate::__record! {
            @rules { $($rules)* }
            plain [] via [] add [] drop []
            head { $(#[$meta])* $vis $name ($left) ($right) }
        }
    };
}

/// The steps of [`record!`]. A rule is turned into an entry of one of four lists; `value` and `_slot` are
/// new identifiers at each step, because macro hygiene keeps those of different expansions apart; field names are never bound,
/// so that an expression in a rule cannot meet a field in place of what its author named. What a complement still has of a field
/// that comes with the value itself stays in its `_slot`, and is dropped there.
#[doc(hidden)]
#[macro_export]
macro_rules! __record {
    // ---- `same` is a rename to the same name
    (@rules { same $f:ident; $($more:tt)* } $($state:tt)*) => {
        $crate::__record! { @rules { rename $f => $f; $($more)* } $($state)* }
    };
    (@rules { same $f:ident via $lens:ty; $($more:tt)* } $($state:tt)*) => {
        $crate::__record! { @rules { rename $f => $f via $lens; $($more)* } $($state)* }
    };
    (@rules { same $f:ident via $lens:ty = $make:expr; $($more:tt)* } $($state:tt)*) => {
        $crate::__record! { @rules { rename $f => $f via $lens = $make; $($more)* } $($state)* }
    };

    // ---- fields of both sides
    (@rules { rename $l:ident => $r:ident; $($more:tt)* }
        plain [$($plain:tt)*] $($state:tt)*
    ) => {
        $crate::__record! { @rules { $($more)* } plain [$($plain)* ($l $r value)] $($state)* }
    };
    (@rules { rename $l:ident => $r:ident via $lens:ty; $($more:tt)* } $($state:tt)*) => {
        $crate::__record! {
            @rules { rename $l => $r via $lens = <$lens as ::core::default::Default>::default(); $($more)* } $($state)*
        }
    };
    (@rules { rename $l:ident => $r:ident via $lens:ty = $make:expr; $($more:tt)* }
        plain $plain:tt via [$($via:tt)*] $($state:tt)*
    ) => {
        $crate::__record! {
            @rules { $($more)* } plain $plain via [$($via)* ($l $r value _slot ($lens) ($make))] $($state)*
        }
    };

    // ---- fields of one side
    (@rules { add $f:ident: $t:ty = |$whole:ident| $value:expr; $($more:tt)* }
        plain $plain:tt via $via:tt add [$($add:tt)*] $($state:tt)*
    ) => {
        $crate::__record! {
            @rules { $($more)* } plain $plain via $via add [$($add)* ($f value _slot $whole ($t) ($value))] $($state)*
        }
    };
    (@rules { add $f:ident: $t:ty = $value:expr; $($more:tt)* } $($state:tt)*) => {
        $crate::__record! { @rules { add $f: $t = |_whole| $value; $($more)* } $($state)* }
    };
    (@rules { drop $f:ident: $t:ty = |$whole:ident| $value:expr; $($more:tt)* }
        plain $plain:tt via $via:tt add $add:tt drop [$($drop:tt)*] $($state:tt)*
    ) => {
        $crate::__record! {
            @rules { $($more)* } plain $plain via $via add $add drop [$($drop)* ($f value _slot $whole ($t) ($value))] $($state)*
        }
    };
    (@rules { drop $f:ident: $t:ty = $value:expr; $($more:tt)* } $($state:tt)*) => {
        $crate::__record! { @rules { drop $f: $t = |_whole| $value; $($more)* } $($state)* }
    };

    // ---- all rules are read
    (@rules { }
        plain [$(($pl:ident $pr:ident $pvalue:ident))*]
        via [$(($vl:ident $vr:ident $vvalue:ident $vslot:ident ($vlens:ty) ($vmake:expr)))*]
        add [$(($af:ident $avalue:ident $aslot:ident $awhole:ident ($at:ty) ($amake:expr)))*]
        drop [$(($df:ident $dvalue:ident $dslot:ident $dwhole:ident ($dt:ty) ($dmake:expr)))*]
        head { $(#[$meta:meta])* $vis:vis $name:ident ($left:ty) ($right:ty) }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        $vis struct $name;

        impl $crate::Lens for $name {
            type Left = $left;
            type Right = $right;
            type Complement = $crate::__record!(@nest
                $((<$vlens as $crate::Lens>::Complement))* $(($crate::Kept<$at>))* $(($crate::Kept<$dt>))*
            );
            const DIRECTIONS: $crate::Directions =
                $crate::Directions::Both$(.and(<$vlens as $crate::Lens>::DIRECTIONS))*;

            fn forward(
                &self,
                left: Self::Left,
                complement: ::core::option::Option<Self::Complement>,
            ) -> ::core::result::Result<(Self::Right, Self::Complement), $crate::LensError> {
                type __Left = $left;
                type __Right = $right;
                let rest = complement;
                $(let ($vslot, rest) = $crate::complement::split(rest);)*
                $(let ($aslot, rest) = $crate::complement::split(rest);)*
                $(let ($dslot, rest) = $crate::complement::split(rest);)*
                let _: ::core::option::Option<()> = rest;

                // What is computed comes first: it may look at the whole.
                $(let $aslot = $crate::record::crossed(
                    ::core::stringify!($af),
                    $crate::Lens::forward(
                        &$crate::add(|| { let $awhole: &__Left = &left; ::core::result::Result::Ok::<$at, $crate::LensError>($amake) }),
                        (),
                        $aslot,
                    ),
                )?;)*
                let __Left { $($pl: $pvalue,)* $($vl: $vvalue,)* $($df: $dvalue,)* } = left;
                $(let $vslot = $crate::record::crossed(
                    ::core::stringify!($vl),
                    $crate::Lens::forward(&{ let lens: $vlens = $vmake; lens }, $vvalue, $vslot),
                )?;)*
                ::core::result::Result::Ok((
                    __Right { $($pr: $pvalue,)* $($vr: $vslot.0,)* $($af: $aslot.0,)* },
                    $crate::__record!(@nest $(($vslot.1))* $(($aslot.1))* $(($crate::Kept::of($dvalue)))*),
                ))
            }

            fn backward(
                &self,
                right: Self::Right,
                complement: ::core::option::Option<Self::Complement>,
            ) -> ::core::result::Result<(Self::Left, Self::Complement), $crate::LensError> {
                type __Left = $left;
                type __Right = $right;
                let rest = complement;
                $(let ($vslot, rest) = $crate::complement::split(rest);)*
                $(let ($aslot, rest) = $crate::complement::split(rest);)*
                $(let ($dslot, rest) = $crate::complement::split(rest);)*
                let _: ::core::option::Option<()> = rest;

                // What is computed comes first: it may look at the whole.
                $(let $dslot = $crate::record::crossed(
                    ::core::stringify!($df),
                    $crate::Lens::backward(
                        &$crate::drop(|| { let $dwhole: &__Right = &right; ::core::result::Result::Ok::<$dt, $crate::LensError>($dmake) }),
                        (),
                        $dslot,
                    ),
                )?;)*
                let __Right { $($pr: $pvalue,)* $($vr: $vvalue,)* $($af: $avalue,)* } = right;
                $(let $vslot = $crate::record::crossed(
                    ::core::stringify!($vr),
                    $crate::Lens::backward(&{ let lens: $vlens = $vmake; lens }, $vvalue, $vslot),
                )?;)*
                ::core::result::Result::Ok((
                    __Left { $($pl: $pvalue,)* $($vl: $vslot.0,)* $($df: $dslot.0,)* },
                    $crate::__record!(@nest $(($vslot.1))* $(($crate::Kept::of($avalue)))* $(($dslot.1))*),
                ))
            }

            fn is_vacant(&self, complement: &Self::Complement) -> bool {
                let rest = complement;
                $(let ($vslot, rest) = rest;)*
                $(let ($aslot, rest) = rest;)*
                $(let ($dslot, rest) = rest;)*
                let () = *rest;
                true
                    $(&& $crate::Lens::is_vacant(&{ let lens: $vlens = $vmake; lens }, $vslot))*
                    $(&& $aslot.is_empty())*
                    $(&& $dslot.is_empty())*
            }

            fn losses(&self, toward: $crate::Toward, report: &mut $crate::Losses) {
                let _ = (toward, &report);
                $(report.within(&$crate::Segment::Field(::core::stringify!($vr)), |report| {
                    $crate::Lens::losses(&{ let lens: $vlens = $vmake; lens }, toward, report);
                });)*
                $($crate::record::defaulted(::core::stringify!($af), toward, $crate::Toward::Newer, report);)*
                $($crate::record::defaulted(::core::stringify!($df), toward, $crate::Toward::Older, report);)*
            }

            fn unrepresentable(&self) -> $crate::Unrepresentable {
                $crate::Unrepresentable::Foreign
                    $(.max($crate::Lens::unrepresentable(&{ let lens: $vlens = $vmake; lens })))*
            }

            fn represents(&self, right: &Self::Right) -> bool {
                let _ = right;
                true
                    $(&& $crate::Lens::represents(&{ let lens: $vlens = $vmake; lens }, &right.$vr))*
            }
        }
    };

    // ---- `(a, (b, (c, ())))`, as a type or as an expression
    (@nest) => { () };
    (@nest ($($first:tt)*) $($more:tt)*) => { ($($first)*, $crate::__record!(@nest $($more)*)) };

    // ---- what is no rule is said at its first word
    (@rules { $wrong:tt $($more:tt)* } $($state:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "expected `same f;`, `rename a => b;` (both with an optional `via LENS` or `via LENS = expr`), \
             `add f: T = expr;` or `drop f: T = expr;`, found `", ::core::stringify!($wrong), "`"
        ));
    };
}

/// The result of a field's crossing, with the field's name in the error.
#[doc(hidden)]
pub fn crossed<T>(
    field: &'static str,
    result: Result<T, crate::LensError>,
) -> Result<T, crate::LensError> {
    result.map_err(|error| error.within(crate::Segment::Field(field)))
}

/// The field `name`, which only the side `only` has, takes its default there.
#[doc(hidden)]
pub fn defaulted(
    name: &'static str,
    toward: crate::Toward,
    only: crate::Toward,
    report: &mut crate::Losses,
) {
    if toward == only {
        report.within(&crate::Segment::Field(name), |report| {
            report.add(crate::Loss::Defaulted);
        });
    }
}
