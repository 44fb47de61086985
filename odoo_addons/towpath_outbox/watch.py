"""From rules to what the hooks look for: plain data, cached by towpath.rule."""
from collections import defaultdict
from dataclasses import dataclass, field

from . import compat, named, names, values

Rule = named.Rule


@dataclass(frozen=True)
class Link:
    """Changes of this model are changes of its parent, as lines are of orders."""

    parent: str  # the parent's model
    inverse: str  # many2one of this model to the parent
    name: str  # the parent's one2many
    columns: frozenset  # of this model, whose change is the parent's


@dataclass
class Watch:
    """What is looked for in one model."""

    rules: list = field(default_factory=list)
    columns: frozenset = frozenset()  # whose old values are kept
    plain: frozenset = frozenset()  # those of them that the ORM's cache has, too
    dependent: frozenset = frozenset()  # fields that are told, and differ from company to company
    relations: frozenset = frozenset()  # many2many fields, likewise
    steps: frozenset = frozenset()  # columns whose change may be an event of its own
    parents: list = field(default_factory=list)
    parents_columns: frozenset = frozenset()
    cascades: list = field(default_factory=list)  # (model, many2one) that a deletion takes along
    document: object = None  # document.Document, when rules ask for the model's own content
    columns_only: bool = False  # everything that is told comes from columns: the ORM is not asked
    called: bool = False  # its names are told by documents, so that former ones are kept

    @property
    def tells(self):
        return bool(self.rules)

    def rules_on(self, action):
        return [rule for rule in self.rules if getattr(rule, action)]


def build(env, rules):
    """{model: Watch} for a list of Rule, in their order."""
    watches = defaultdict(Watch)
    for rule in rules:
        if rule.model in env:
            watches[rule.model].rules.append(rule)
    for model in list(watches):
        _own(watches[model], env[model])
        for name, columns in _lines(watches[model], env[model]).items():
            _link(watches, env[model], name, columns)
    for watch in watches.values():
        watch.parents_columns = frozenset(link.inverse for link in watch.parents)
        for link in watch.parents:
            watch.columns |= link.columns | {link.inverse}
    if any(watch.document for watch in watches.values()):
        _names(watches, env)
    for model, watch in watches.items():
        if not compat.masks(env[model]):
            watch.plain = frozenset(n for n in watch.columns if values.plain(env[model]._fields[n]))
    _cascades(watches, env)
    return dict(watches)


def _own(watch, model):
    special = named.of(model)
    if any(rule.named for rule in watch.rules) and any(rule.full and not rule.fields for rule in watch.rules):
        watch.document = special and special.document
        watch.columns_only = bool(watch.document) and all(
            rule.named and rule.full and not rule.fields and rule.domain in ("", "[]") for rule in watch.rules)
    watch.dependent = frozenset(
        name for rule in watch.rules
        for name in rule.fields or (values.full_names(model) if rule.full and not (special and rule.named) else ())
        if values.dependent(model._fields[name])
    )
    if not watch.rules_on("write"):
        return
    watch.columns = frozenset(
        name for name, f in model._fields.items()
        if f.store and f.column_type and values.tracked(f)
    )
    wanted = set()
    for rule in watch.rules_on("write"):
        wanted.update(rule.fields or (values.full_names(model) if rule.full else ()))
    watch.relations = frozenset(
        name for name in wanted
        if model._fields[name].type == "many2many" and model._fields[name].store
    )
    if special and any(rule.named for rule in watch.rules_on("write")):
        watch.steps = frozenset(special.steps).intersection(watch.columns)


def _lines(watch, model):
    """{one2many: columns of its model} that belong to what is told of the model."""
    lines = {}
    special = named.of(model)
    for rule in watch.rules_on("write"):
        if special and rule.named and not rule.fields and rule.full:
            lines.update(special.lines)
        for name in rule.fields:
            if model._fields[name].type == "one2many":
                lines.setdefault(name, ())
    return lines


def _link(watches, model, name, columns):
    f = model._fields.get(name)
    child = f and f.comodel_name in model.env and model.env[f.comodel_name]
    inverse = f and f.inverse_name and child._fields.get(f.inverse_name)
    if inverse is None or not f.inverse_name or not inverse.store or inverse.type != "many2one":
        return  # computed, or by model and id: its changes are not seen
    watches[child._name].parents.append(Link(
        model._name, f.inverse_name, name,
        frozenset(c for c in columns if c in child._fields and child._fields[c].store),
    ))


def _names(watches, env):
    """Changes of the names in documents are seen, told or not."""
    for model in (names.PARTNER, names.TEMPLATE, names.PRODUCT):
        watches[model].called = True
        watches[model].columns |= {names.COLUMN}.intersection(
            name for name, f in env[model]._fields.items() if f.store and f.column_type)


def _cascades(watches, env):
    """PostgreSQL deletes by itself what hangs on a deleted record."""
    above = defaultdict(set)  # model -> {(model above it, many2one)}
    for name in env.registry:
        model = env[name]
        if model._abstract or model._transient or not model._auto:
            continue
        for f in model._fields.values():
            if f.type == "many2one" and f.store and f.ondelete == "cascade":
                if not getattr(f, "company_dependent", False):
                    above[name].add((f.comodel_name, f.name))
    todo = [m for m, watch in watches.items() if (watch.rules_on("unlink") or watch.called) and not env[m]._transient]
    seen = set(todo)
    while todo:
        model = todo.pop()
        for upper, f in sorted(above[model]):
            watches[upper].cascades.append((model, f))
            if upper not in seen:
                seen.add(upper)
                todo.append(upper)
