//! The order in which one version takes its guards, as a set of edges, and where two such orders
//! cannot both be (R16).
//!
//! Pure. Must never know where edges are kept or who records them. After the kernel's lockdep: an
//! order is judged by what was ever seen, not by whether anybody happens to stand in the way; other
//! than there, two orders are compared, and what one version does by itself is its own affair.

use crate::abi::{MAX_ORDER_NODES, Node};
use crate::ids::GuardIndex;

/// A guard was wanted while another was held.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Edge {
    /// The second while the first was held; two different declarations.
    Between(Node, Node),
    /// Of one family a later member while an earlier one was held, by their slots.
    Ascending(Node),
    /// The other way round.
    Descending(Node),
}

impl Edge {
    /// What wanting the guard `wanted` while `held` is held says of the order, each with its
    /// declaration; `None` if they are the same.
    pub fn of(held: (Node, GuardIndex), wanted: (Node, GuardIndex)) -> Option<Edge> {
        match held.1.cmp(&wanted.1) {
            std::cmp::Ordering::Equal => None,
            _ if held.0 != wanted.0 => Some(Edge::Between(held.0, wanted.0)),
            std::cmp::Ordering::Less => Some(Edge::Ascending(held.0)),
            std::cmp::Ordering::Greater => Some(Edge::Descending(held.0)),
        }
    }
}

/// A set of edges. A family is one node; what is known of its members is whether they were taken in
/// ascending or in descending order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Edges {
    /// Bit b of row a: an edge from a to b; on the diagonal: ascending.
    pub(super) after: [u128; MAX_ORDER_NODES],
    pub(super) descending: u128,
}

const _: () = assert!(MAX_ORDER_NODES == u128::BITS as usize);

const fn bit(node: Node) -> u128 {
    1 << node.0
}

impl Edges {
    /// No edges.
    pub const NONE: Edges = Edges {
        after: [0; MAX_ORDER_NODES],
        descending: 0,
    };

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Edges::NONE
    }

    /// Adds an edge.
    pub fn insert(&mut self, edge: Edge) {
        match edge {
            Edge::Between(from, to) => self.after[usize::from(from.0)] |= bit(to),
            Edge::Ascending(node) => self.after[usize::from(node.0)] |= bit(node),
            Edge::Descending(node) => self.descending |= bit(node),
        }
    }

    /// Whether it is in the set.
    pub fn contains(&self, edge: Edge) -> bool {
        match edge {
            Edge::Between(from, to) => self.after[usize::from(from.0)] & bit(to) != 0,
            Edge::Ascending(node) => self.after[usize::from(node.0)] & bit(node) != 0,
            Edge::Descending(node) => self.descending & bit(node) != 0,
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Edge> + '_ {
        let nodes = || (0..MAX_ORDER_NODES as u16).map(Node);
        let rows = nodes()
            .filter(|from| self.after[usize::from(from.0)] != 0)
            .flat_map(move |from| nodes().map(move |to| (from, to)))
            .map(|(from, to)| match from == to {
                true => Edge::Ascending(from),
                false => Edge::Between(from, to),
            });
        rows.chain(nodes().map(Edge::Descending))
            .filter(|edge| self.contains(*edge))
    }

    /// Rows without the diagonal, which leads nowhere else.
    fn row(&self, from: Node) -> u128 {
        self.after[usize::from(from.0)] & !bit(from)
    }
}

/// Two orders that cannot both be: a circle in which both versions take part, and in which one takes a
/// step that the other does not. One step after the other, each from where the last led; the first is
/// the one that was asked about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Circle(pub Vec<Edge>);

impl Circle {
    /// `v2 takes B, then A; v1 takes A, then B`. Both orders with a name for who has them; the first
    /// is that of the version that was asked about.
    pub fn text(
        &self,
        mine: (&str, &Edges),
        other: (&str, &Edges),
        name: impl Fn(Node) -> String,
    ) -> String {
        let mut clauses: Vec<(&str, String)> = Vec::new();
        for (at, step) in self.0.iter().enumerate() {
            let last = clauses.last().map(|clause| clause.0);
            let has = |(who, order): (&str, &Edges)| {
                let begins = at == 0 && who == mine.0;
                begins || last == Some(who) && order.contains(*step)
            };
            let goes_on = [mine, other].into_iter().find(|taker| has(*taker));
            let taker = goes_on
                .or_else(|| {
                    [mine, other]
                        .into_iter()
                        .find(|taker| taker.1.contains(*step))
                })
                .unwrap_or(other);
            match (step, clauses.last_mut()) {
                (Edge::Between(_, to), Some((who, clause))) if *who == taker.0 => {
                    clause.push_str(", then ");
                    clause.push_str(&name(*to));
                }
                (Edge::Between(from, to), _) => {
                    clauses.push((taker.0, format!("{}, then {}", name(*from), name(*to))));
                }
                (Edge::Ascending(node), _) => {
                    clauses.push((taker.0, format!("members of {} upwards", name(*node))));
                }
                (Edge::Descending(node), _) => {
                    clauses.push((taker.0, format!("members of {} downwards", name(*node))));
                }
            }
        }
        let clauses: Vec<String> = clauses
            .iter()
            .map(|(who, what)| format!("{who} takes {what}"))
            .collect();
        clauses.join("; ")
    }
}

/// What the steps of a way have shown so far, as an index.
const OTHER_TAKES_PART: usize = 1;
const THEY_DIFFER: usize = 2;
const ALL: usize = OTHER_TAKES_PART | THEY_DIFFER;

/// Whether `edge`, which `mine` has or is about to have, goes round with what `other` does.
///
/// ```text
/// no way back along edges of either                    no
/// the way back is this version's alone                 no: whatever guards it does so still
/// all steps of the circle are taken by both            no: likewise
/// the other takes part in it, and they differ          yes
/// a family in this order here, in the other there,
///                             and not in both by both  yes
/// ```
///
/// Ways may pass a declaration twice, so two circles that touch count as one: rather a barrier, or an
/// error, too many.
pub fn goes_round(edge: Edge, mine: &Edges, other: &Edges) -> Option<Circle> {
    match edge {
        Edge::Between(from, to) => {
            let back = way_back(to, from, !other.contains(edge), mine, other)?;
            let mut steps = vec![edge];
            steps.extend(back.windows(2).map(|step| Edge::Between(step[0], step[1])));
            Some(Circle(steps))
        }
        Edge::Ascending(node) | Edge::Descending(node) => {
            let opposite = match edge {
                Edge::Ascending(_) => Edge::Descending(node),
                _ => Edge::Ascending(node),
            };
            let they_differ = !other.contains(edge) || !mine.contains(opposite);
            let is_round = other.contains(opposite) && they_differ;
            is_round.then(|| Circle(vec![edge, opposite]))
        }
    }
}

/// A shortest way from one declaration to another along edges of either, of which the other version
/// takes one at least, and one at least is not taken by both; both ends included.
fn way_back(
    from: Node,
    to: Node,
    they_differ: bool,
    mine: &Edges,
    other: &Edges,
) -> Option<Vec<Node>> {
    let start = if they_differ { THEY_DIFFER } else { 0 };
    // By what has been shown, and declaration: whence it was reached first.
    let mut came_from = [[(0, from); MAX_ORDER_NODES]; ALL + 1];
    let mut seen = [0_u128; ALL + 1];
    seen[start] = bit(from);
    let mut queue = std::collections::VecDeque::from([(start, from)]);
    while let Some((shown, node)) = queue.pop_front() {
        if (shown, node) == (ALL, to) {
            let mut way = vec![to];
            let (mut shown, mut node) = (shown, node);
            while (shown, node) != (start, from) {
                (shown, node) = came_from[shown][usize::from(node.0)];
                way.push(node);
            }
            way.reverse();
            return Some(way);
        }
        let (here, there) = (mine.row(node), other.row(node));
        for (steps, shows) in [
            (here & there, OTHER_TAKES_PART),
            (there & !here, OTHER_TAKES_PART | THEY_DIFFER),
            (here & !there, THEY_DIFFER),
        ] {
            let next = shown | shows;
            let mut steps = steps & !seen[next];
            seen[next] |= steps;
            while steps != 0 {
                let found = Node(steps.trailing_zeros() as u16);
                steps &= steps - 1;
                came_from[next][usize::from(found.0)] = (shown, node);
                queue.push_back((next, found));
            }
        }
    }
    None
}

/// A shortest circle in which two versions disagree, if there is one.
pub fn disagreement(mine: &Edges, other: &Edges) -> Option<Circle> {
    mine.iter()
        .filter_map(|edge| goes_round(edge, mine, other))
        .min_by_key(|circle| circle.0.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn edges(list: &[(u16, u16)]) -> Edges {
        let mut edges = Edges::NONE;
        for (from, to) in list {
            edges.insert(Edge::Between(Node(*from), Node(*to)));
        }
        edges
    }

    // R16
    #[test]
    fn an_edge_tells_declarations_apart_and_members_by_their_order() {
        let (a, b) = (Node(0), Node(127));
        let edge = |held: (Node, u32), wanted: (Node, u32)| {
            Edge::of(
                (held.0, GuardIndex(held.1)),
                (wanted.0, GuardIndex(wanted.1)),
            )
        };
        assert_eq!(edge((a, 9), (b, 3)), Some(Edge::Between(a, b)));
        assert_eq!(edge((a, 3), (a, 4)), Some(Edge::Ascending(a)));
        assert_eq!(edge((a, 4), (a, 3)), Some(Edge::Descending(a)));
        assert_eq!(edge((a, 4), (a, 4)), None);
    }

    // R16
    #[test]
    fn opposite_orders_of_two_versions_go_round_and_equal_ones_do_not() {
        let (one, other) = (edges(&[(0, 1), (1, 2)]), edges(&[(2, 0)]));
        let circle = disagreement(&one, &other).expect("0, 1, 2 and back to 0");
        assert_eq!(circle.0.len(), 3);
        assert!(disagreement(&one, &one).is_none());
        assert!(disagreement(&one, &Edges::NONE).is_none());
        assert!(disagreement(&one, &edges(&[(0, 2), (0, 1)])).is_none());
    }

    // R16
    #[test]
    fn what_a_version_does_by_itself_is_its_own_affair() {
        let gated = edges(&[(0, 1), (1, 0)]);
        assert!(disagreement(&gated, &gated).is_none());
        assert!(disagreement(&gated, &Edges::NONE).is_none());
        assert!(disagreement(&gated, &edges(&[(0, 1), (1, 0), (1, 2)])).is_none());
        assert!(disagreement(&gated, &edges(&[(2, 0), (1, 3)])).is_none());
        // Whatever keeps the one from its own circle may be unknown to the other.
        let circle = disagreement(&gated, &edges(&[(0, 1)])).expect("0, 1 and back");
        assert_eq!(circle.0.len(), 2);
    }

    // R16
    #[test]
    fn families_taken_in_opposite_orders_go_round() {
        let (up, down) = (Edge::Ascending(Node(4)), Edge::Descending(Node(4)));
        let set = |list: &[Edge]| {
            let mut edges = Edges::NONE;
            list.iter().for_each(|edge| edges.insert(*edge));
            edges
        };
        let circle = disagreement(&set(&[up]), &set(&[down])).expect("up and down");
        assert_eq!(circle.0, [up, down]);
        assert!(disagreement(&set(&[up]), &set(&[up])).is_none());
        assert!(disagreement(&set(&[up, down]), &set(&[up, down])).is_none());
    }

    // R16
    #[test]
    fn a_circle_is_told_as_what_each_version_takes() {
        let (one, other) = (edges(&[(0, 1), (1, 2)]), edges(&[(2, 3), (3, 0)]));
        let name = |node: Node| ["A", "B", "C", "D"][usize::from(node.0)].to_owned();
        let text = |mine: &Edges, other: &Edges| {
            let circle = disagreement(mine, other).expect("all four");
            circle.text(("v2", mine), ("v1", other), name)
        };
        assert_eq!(
            text(&one, &other),
            "v2 takes A, then B, then C; v1 takes C, then D, then A"
        );
        let family = |edge| {
            let mut edges = Edges::NONE;
            edges.insert(edge);
            edges
        };
        let (up, down) = (
            family(Edge::Ascending(Node(1))),
            family(Edge::Descending(Node(1))),
        );
        assert_eq!(
            text(&down, &up),
            "v2 takes members of B downwards; v1 takes members of B upwards"
        );
    }

    const FEW: u16 = 6;

    fn any_edges() -> impl Strategy<Value = Edges> {
        let pairs = prop::collection::vec((0..FEW, 0..FEW, any::<bool>()), 0..10);
        pairs.prop_map(|pairs| {
            let mut edges = Edges::NONE;
            for (from, to, down) in pairs {
                edges.insert(match (from == to, down) {
                    (false, _) => Edge::Between(Node(from), Node(to)),
                    (true, true) => Edge::Descending(Node(from)),
                    (true, false) => Edge::Ascending(Node(from)),
                });
            }
            edges
        })
    }

    /// Which declarations can be reached from which, by Warshall's closure.
    fn closure(one: &Edges, other: &Edges) -> Vec<Vec<bool>> {
        let few = usize::from(FEW);
        let has = |a: usize, b: usize| {
            let edge = Edge::Between(Node(a as u16), Node(b as u16));
            a == b || one.contains(edge) || other.contains(edge)
        };
        let mut reach: Vec<Vec<bool>> = (0..few)
            .map(|a| (0..few).map(|b| has(a, b)).collect())
            .collect();
        for via in 0..few {
            for a in 0..few {
                for b in 0..few {
                    reach[a][b] |= reach[a][via] && reach[via][b];
                }
            }
        }
        reach
    }

    /// The same by components: two that take part in one, and do not do the same there.
    fn naive(one: &Edges, other: &Edges) -> bool {
        let reach = closure(one, other);
        let inside = |edges: &Edges, root: u16| -> Vec<Edge> {
            let together = |a: Node| {
                let (a, root) = (usize::from(a.0), usize::from(root));
                reach[a][root] && reach[root][a]
            };
            let kept =
                |edge: &Edge| matches!(edge, Edge::Between(a, b) if together(*a) && together(*b));
            edges.iter().filter(kept).collect()
        };
        let families = (0..FEW).map(Node).any(|node| {
            let of = |edges: &Edges| {
                [Edge::Ascending(node), Edge::Descending(node)].map(|e| edges.contains(e))
            };
            match (of(one), of(other)) {
                (a, b) if a == b => false,
                ([up, down], [other_up, other_down]) => up && other_down || down && other_up,
            }
        });
        families
            || (0..FEW).any(|root| {
                let (mine, theirs) = (inside(one, root), inside(other, root));
                !mine.is_empty() && !theirs.is_empty() && mine != theirs
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        // R16
        #[test]
        fn circles_are_found_where_a_search_of_all_ways_finds_them(
            one in any_edges(), other in any_edges()
        ) {
            let found = disagreement(&one, &other);
            prop_assert_eq!(found.is_some(), naive(&one, &other));
            prop_assert_eq!(found.is_some(), disagreement(&other, &one).is_some());
            if let Some(Circle(steps)) = found {
                // It is a circle, each step is taken by one of them, and both take part.
                prop_assert!(steps.iter().all(|step| one.contains(*step) || other.contains(*step)));
                prop_assert!(one.contains(steps[0]));
                prop_assert!(steps[1..].iter().any(|step| other.contains(*step)));
                let by_both = |step: &Edge| one.contains(*step) && other.contains(*step);
                if let Edge::Between(..) = steps[0] {
                    prop_assert!(!steps.iter().all(by_both));
                }
                let ends = |step: &Edge| match step {
                    Edge::Between(from, to) => (*from, *to),
                    Edge::Ascending(node) | Edge::Descending(node) => (*node, *node),
                };
                for (step, next) in steps.iter().zip(steps.iter().cycle().skip(1)) {
                    prop_assert_eq!(ends(step).1, ends(next).0);
                }
            }
        }

        #[test]
        fn a_set_gives_back_what_was_put_into_it(edges in any_edges()) {
            let mut copy = Edges::NONE;
            edges.iter().for_each(|edge| copy.insert(edge));
            prop_assert_eq!(copy, edges);
        }
    }
}
