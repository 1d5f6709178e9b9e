//! Replies as a client sees them, and requests as it sends them.

use std::fmt;
use std::io::BufRead;

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    Simple(String),
    Error(String),
    Integer(i64),
    Bulk(Vec<u8>),
    Verbatim(Vec<u8>),
    Null,
    NullArray,
    Resp3Null,
    Double(String),
    Boolean(bool),
    Array(Vec<Value>),
    Set(Vec<Value>),
    Map(Vec<(Value, Value)>),
}

impl Value {
    pub fn read(from: &mut impl BufRead) -> std::io::Result<Self> {
        let mut line = Vec::new();
        from.read_until(b'\n', &mut line)?;
        let body = line
            .strip_suffix(b"\r\n")
            .ok_or(std::io::ErrorKind::UnexpectedEof)?;
        let text = String::from_utf8_lossy(&body[1..]).into_owned();
        let number = || text.parse::<i64>().map_err(std::io::Error::other);
        Ok(match body[0] {
            b'+' => Self::Simple(text),
            b'-' => Self::Error(text),
            b':' => Self::Integer(number()?),
            b'_' => Self::Resp3Null,
            b',' => Self::Double(text),
            b'#' => Self::Boolean(text == "t"),
            kind @ (b'$' | b'=') => {
                let length = number()?;
                if length < 0 {
                    return Ok(Self::Null);
                }
                let mut bytes = vec![0; length as usize + 2];
                from.read_exact(&mut bytes)?;
                bytes.truncate(length as usize);
                if kind == b'=' {
                    Self::Verbatim(bytes)
                } else {
                    Self::Bulk(bytes)
                }
            }
            kind @ (b'*' | b'~' | b'>') => {
                let length = number()?;
                if length < 0 {
                    return Ok(Self::NullArray);
                }
                let items: std::io::Result<Vec<_>> =
                    (0..length).map(|_| Self::read(from)).collect();
                if kind == b'~' {
                    Self::Set(items?)
                } else {
                    Self::Array(items?)
                }
            }
            b'%' => {
                let pairs = (0..number()?).map(|_| Ok((Self::read(from)?, Self::read(from)?)));
                Self::Map(pairs.collect::<std::io::Result<_>>()?)
            }
            other => panic!("reply type {other}"),
        })
    }

    pub fn parse_all(mut bytes: &[u8]) -> Vec<Self> {
        let mut values = Vec::new();
        while !bytes.is_empty() {
            values.push(Self::read(&mut bytes).expect("a whole reply"));
        }
        values
    }

    /// With everything that Redis calls unordered in order.
    pub fn sorted(self) -> Self {
        match self {
            Self::Array(items) => Self::Array(in_order(items)),
            Self::Set(items) => Self::Set(in_order(items)),
            Self::Map(pairs) => {
                let sorted = pairs.into_iter().map(|(key, value)| (key, value.sorted()));
                let mut pairs: Vec<_> = sorted.collect();
                pairs.sort();
                Self::Map(pairs)
            }
            other => other,
        }
    }

    /// Fields with their values in order, whether they are a map, arrays of two, or lie flat in one.
    pub fn pairs(self) -> Self {
        let Self::Array(items) = self else {
            return self.sorted();
        };
        let nested = items.iter().flat_map(|item| match item {
            Self::Array(pair) => pair.clone(),
            single => vec![single.clone()],
        });
        let flat: Vec<Self> = nested.collect();
        let pairs = flat.chunks(2).map(|pair| match pair {
            [field, value] => (field.clone(), value.clone()),
            _ => panic!("fields have values: {flat:?}"),
        });
        let mut pairs: Vec<_> = pairs.collect();
        pairs.sort();
        Self::Map(pairs)
    }

    /// With sets alone in order.
    pub fn sorted_sets(self) -> Self {
        match self {
            Self::Array(items) => Self::Array(items.into_iter().map(Self::sorted_sets).collect()),
            set_or_map @ (Self::Set(_) | Self::Map(_)) => set_or_map.sorted(),
            other => other,
        }
    }

    pub fn text(&self) -> String {
        match self {
            Self::Simple(text) | Self::Error(text) => text.clone(),
            Self::Bulk(bytes) | Self::Verbatim(bytes) => {
                String::from_utf8_lossy(bytes).into_owned()
            }
            other => format!("{other:?}"),
        }
    }
}

fn in_order(items: Vec<Value>) -> Vec<Value> {
    let mut items: Vec<Value> = items.into_iter().map(Value::sorted).collect();
    items.sort();
    items
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Simple(text) => write!(f, "+{text}"),
            Self::Error(text) => write!(f, "-{text}"),
            Self::Integer(value) => write!(f, ":{value}"),
            Self::Bulk(bytes) => write!(f, "\"{}\"", bytes.escape_ascii()),
            Self::Verbatim(bytes) => write!(f, "=\"{}\"", bytes.escape_ascii()),
            Self::Null => write!(f, "null"),
            Self::NullArray => write!(f, "null array"),
            Self::Resp3Null => write!(f, "_"),
            Self::Double(text) => write!(f, ",{text}"),
            Self::Boolean(value) => write!(f, "#{value}"),
            Self::Array(items) => write!(f, "{items:?}"),
            Self::Set(items) => write!(f, "~{items:?}"),
            Self::Map(pairs) => f.debug_map().entries(pairs.iter().cloned()).finish(),
        }
    }
}

pub fn encode(args: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        let arg = arg.as_ref();
        bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        bytes.extend_from_slice(arg);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}
