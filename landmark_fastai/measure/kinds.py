"Checks of definitions among each other: nothing follows from itself, and each argument is of the kind that is wanted."

from collections.abc import Collection

from ..errors import UsageError
from .expressions import DEEPEST, Call, Name, Number, Tree, names_in
from .functions import ANY, FORMS, OPERATORS, POINT, VALUE, Form


def in_order(trees: dict[str, Tree]) -> list[str]:
    "The names of `trees`, each after those that it needs. Raises UsageError where one follows from itself."
    done = []
    def visit(name, way):
        if name in way: raise UsageError(f'{name}: follows from itself, {" → ".join([*way[way.index(name):], name])}')
        if name in done: return
        if len(way) > DEEPEST: raise UsageError(f'{way[0]}: follows from more than {DEEPEST} definitions in a row')
        for each in names_in(trees[name]):
            if each in trees: visit(each, [*way, name])
        done.append(name)
    for name in trees: visit(name, [])
    return done


def check_kinds(trees: dict[str, Tree], measured: Collection[str]):
    "Raise UsageError for a call of something that it does not take, and unless all that are `measured` are values."
    kinds, depths = {}, {}
    for name in in_order(trees):
        depths[name] = _depth_of(trees[name], depths)
        if depths[name] > DEEPEST: raise UsageError(f'{name}: follows from more than {DEEPEST} calls within each other')
        try: kinds[name] = _kind_of(trees[name], kinds)
        except UsageError as e: raise UsageError(f'{name}: {e}') from None
        if name in measured and kinds[name] != VALUE:
            raise UsageError(f'{name}: {kinds[name]} where a value is to be measured')


def _depth_of(tree, depths):
    "How many calls are within each other in `tree`, by the `depths` of what is defined."
    match tree:
        case Call(): return 1 + max((_depth_of(argument, depths) for argument in tree.arguments), default=0)
        case Name(name): return 1 + depths.get(name, 0)
    return 1


def _kind_of(tree, kinds):
    "The kind of `tree`, by the `kinds` of what is defined; all other names are landmarks."
    match tree:
        case Number(): return VALUE
        case Name(name): return kinds.get(name, POINT)
        case Call(): return form_of(tree, [_kind_of(argument, kinds) for argument in tree.arguments])[0]


def form_of(call: Call, kinds: list[str]) -> tuple[str, Form]:
    "The kind of the result, and the form, of a `call` with arguments of those `kinds`. Raises UsageError."
    for form in FORMS[call.function]:
        takes = list(form.takes)
        if form.repeats: takes += [takes[-1]] * (len(kinds) - len(takes))
        if takes == kinds: return form.gives, form
        if takes == [ANY] and len(kinds) == 1: return kinds[0], form
    raise UsageError(f'{call.text}: found {_written(call.function, kinds)}, expected '
                     + ' or '.join(_written(call.function, form.takes, form.repeats) for form in FORMS[call.function]))


def _written(function, kinds, repeats=False):
    if function in OPERATORS: return f' {function} '.join(kinds)
    return f'{function}({", ".join([*kinds, "…"] if repeats else kinds)})'


def uses_other(tree: Tree) -> bool:
    "Whether `tree` looks at the other side."
    return isinstance(tree, Call) and (tree.function == 'other' or any(map(uses_other, tree.arguments)))
