"""The clinical input: what the rules need and no image can tell.

Every field may be unknown (None), and unknown never counts as normal. Values are checked when the
input is made: implausible numbers, mixed-up units and contradictions are refused by field name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from marrowmap.data.errors import ClinicalInputError
from marrowmap.inference.clinical_fhir import fields_from_bundle
from marrowmap.inference.clinical_file import load_fields
from marrowmap.inference.clinical_units import OTHER_UNITS, QUANTITIES, agree, checked, in_one_unit

MProteinType = Literal["IgG", "IgA", "IgD", "IgE", "IgM", "light_chain", "none"]
LightChain = Literal["kappa", "lambda"]
Sex = Literal["M", "F"]

_CHOICES: dict[str, tuple[str, ...]] = {
    "sex": get_args(Sex),
    "m_protein_type": get_args(MProteinType),
    "flc_involved_chain": get_args(LightChain),
}
_CLAIMS = ("extramedullary_disease", "biopsy_proven_plasmacytoma", "amyloidosis", "neurological_signs")
_WORDS = ("primary_cancer", "indication")


@dataclass(frozen=True, kw_only=True)
class Fish:
    """Cytogenetic abnormalities by iFISH: True found, False looked for and absent, None not known."""

    del17p: bool | None = None
    t4_14: bool | None = None
    t14_16: bool | None = None
    gain_1q: bool | None = None
    del13q: bool | None = None

    def __post_init__(self) -> None:
        """Refuse what is neither true, false nor unknown.

        Raises:
            ClinicalInputError: Names the field.
        """
        for item in fields(self):
            _check_claim(f"fish.{item.name}", getattr(self, item.name))


@dataclass(frozen=True, kw_only=True)
class ClinicalInput:
    """What the clinic knows, each quantity in the unit of its name; None is unknown.

    Attributes:
        plasma_cells_percent: Clonal plasma cells of the marrow biopsy or aspirate.
        m_protein_type: Heavy chain, `light_chain`, or `none` when immunofixation found no M-protein.
        flc_ratio: Involved over uninvolved free light chain, not kappa over lambda.
        flc_involved_chain: Which chain is involved; needed for the limits of light-chain MGUS.
        lytic_lesions_ct: Number of osteolytic lesions on CT or PET-CT.
        bone_scale: Radiographs: 0 normal, 1 osteoporosis, 2 lytic lesions, 3 extensive destruction or
            major fracture.
        primary_cancer: Known primary cancer, in words.
        pet_focal_lesions: Avid focal lesions on PET-CT; told beside MRI, in no rule of MRI.
        neurological_signs: Radicular or cord signs; make a lesion at the canal the first alert.
        indication: Why the exam was made, in words: staging, follow-up, pain; printed, in no rule.
        crp_mg_per_l: Printed, in no rule, as is the erythrocyte sedimentation rate.
    """

    age_years: float | None = None
    sex: Sex | None = None
    height_m: float | None = None
    weight_kg: float | None = None
    haemoglobin_g_per_dl: float | None = None
    haemoglobin_lower_limit_g_per_dl: float | None = None
    calcium_mg_per_dl: float | None = None
    calcium_upper_limit_mg_per_dl: float | None = None
    creatinine_mg_per_dl: float | None = None
    creatinine_clearance_ml_per_min: float | None = None
    albumin_g_per_dl: float | None = None
    beta2_microglobulin_mg_per_l: float | None = None
    ldh_u_per_l: float | None = None
    ldh_upper_limit_u_per_l: float | None = None
    plasma_cells_percent: float | None = None
    m_protein_type: MProteinType | None = None
    m_protein_serum_g_per_dl: float | None = None
    m_protein_urine_g_per_24h: float | None = None
    flc_involved_mg_per_l: float | None = None
    flc_uninvolved_mg_per_l: float | None = None
    flc_ratio: float | None = None
    flc_involved_chain: LightChain | None = None
    fish: Fish = field(default_factory=Fish)
    lytic_lesions_ct: int | None = None
    bone_scale: int | None = None
    extramedullary_disease: bool | None = None
    biopsy_proven_plasmacytoma: bool | None = None
    amyloidosis: bool | None = None
    primary_cancer: str | None = None
    psa_ng_per_ml: float | None = None
    pet_focal_lesions: int | None = None
    neurological_signs: bool | None = None
    indication: str | None = None
    crp_mg_per_l: float | None = None
    esr_mm_per_h: float | None = None

    def __post_init__(self) -> None:
        """Refuse implausible values and contradictions.

        Raises:
            ClinicalInputError: Names the field.
        """
        for name, quantity in QUANTITIES.items():
            if getattr(self, name) is not None:
                object.__setattr__(self, name, checked(name, getattr(self, name), quantity))
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in (None, *choices):
                found = getattr(self, name)
                raise ClinicalInputError(f"{name}: need one of {', '.join(choices)}, found {found!r}")
        for name in _CLAIMS:
            _check_claim(name, getattr(self, name))
        for name in _WORDS:
            found = getattr(self, name)
            if not (found is None or isinstance(found, str)):
                raise ClinicalInputError(f"{name}: need words, found {found!r}")
        _check_plasma_cells(self)
        _check_m_protein(self)
        _check_light_chains(self)
        _check_bone(self)

    @property
    def light_chain_ratio(self) -> float | None:
        """Involved over uninvolved free light chain: as given, else from the two concentrations."""
        involved, uninvolved = self.flc_involved_mg_per_l, self.flc_uninvolved_mg_per_l
        if self.flc_ratio is not None or involved is None or uninvolved is None:
            return self.flc_ratio
        return round(involved / uninvolved, 9)

    def value(self, name: str) -> Any:
        """Return a field by name; `fish.del17p` is one of FISH, `light_chain_ratio` the ratio in use."""
        return getattr(self.fish, name[5:]) if name.startswith("fish.") else getattr(self, name)


def clinical_from_mapping(given: Mapping[str, Any]) -> ClinicalInput:
    """Return the clinical input from field names and values as a file holds them.

    Args:
        given: Fields in either unit system; None or absent is unknown.

    Raises:
        ClinicalInputError: Names the field that is unknown, implausible or contradictory.
    """
    known = {item.name for item in fields(ClinicalInput)} | OTHER_UNITS.keys()
    _refuse_unknown(given, known, prefix="")
    values = in_one_unit(dict(given))
    values["fish"] = _fish(given.get("fish"))
    for name in ("sex", "m_protein_type", "flc_involved_chain"):
        values[name] = _choice(name, values.get(name))
    if isinstance(values.get("lytic_lesions_ct"), bool):
        values["lytic_lesions_ct"] = int(given["lytic_lesions_ct"])  # true says one at least
    return ClinicalInput(**values)  # type: ignore[arg-type]


def read_clinical(path: Path) -> ClinicalInput:
    """Read a clinical file: YAML or JSON fields, or a FHIR R4 Bundle of Observations in JSON.

    Raises:
        ClinicalInputError: If the file cannot be read, or names the field that is refused.
    """
    given = load_fields(path)
    if given is None:
        return ClinicalInput()
    if not isinstance(given, dict):
        raise ClinicalInputError(f"{path.name}: need fields and values, found {type(given).__name__}")
    if "resourceType" in given:
        return clinical_from_mapping(fields_from_bundle(given))
    return clinical_from_mapping(given)


def _refuse_unknown(given: Mapping[str, Any], known: set[str], *, prefix: str) -> None:
    """Refuse field names that do not exist, with the nearest one that does."""
    from difflib import get_close_matches

    for name in given:
        if name not in known:
            near = get_close_matches(str(name), sorted(known), n=1)
            advice = f"; did you mean {prefix}{near[0]}?" if near else ""
            raise ClinicalInputError(f"{prefix}{name}: no such clinical field{advice}")


def _fish(given: Any) -> Fish:
    """Return FISH from its sub-fields."""
    if given is None:
        return Fish()
    if isinstance(given, Fish):
        return given
    if not isinstance(given, dict):
        raise ClinicalInputError(f"fish: need true or false by abnormality, found {given!r}")
    _refuse_unknown(given, {item.name for item in fields(Fish)}, prefix="fish.")
    return Fish(**given)


def _choice(name: str, value: Any) -> Any:
    """Return a choice in the letters of the contract; other values are left for the check."""
    words = {choice.lower(): choice for choice in _CHOICES[name]} | {"male": "M", "female": "F"}
    return words.get(value.strip().lower(), value) if isinstance(value, str) else value


def _check_claim(name: str, value: object) -> None:
    """Refuse what is neither true, false nor unknown."""
    if value is not None and not isinstance(value, bool):
        raise ClinicalInputError(f"{name}: need true or false, found {value!r}; leave it out when unknown")


def _check_plasma_cells(clinical: ClinicalInput) -> None:
    """Refuse a fraction where percent are meant: 0.6 read as 0.6 % would miss a myeloma of 60 %."""
    percent = clinical.plasma_cells_percent
    if percent is not None and 0.0 < percent < 1.0:
        raise ClinicalInputError(
            f"plasma_cells_percent: found {percent:g}, which may be a fraction; give percent, "
            f"{100 * percent:g} if it is one, else 0 or 1"
        )


def _check_m_protein(clinical: ClinicalInput) -> None:
    """Refuse an amount of M-protein where none was found."""
    for name in ("m_protein_serum_g_per_dl", "m_protein_urine_g_per_24h"):
        amount = getattr(clinical, name)
        if clinical.m_protein_type == "none" and amount:
            raise ClinicalInputError(f"{name}: found {amount:g} although m_protein_type is none")


def _check_light_chains(clinical: ClinicalInput) -> None:
    """Refuse concentrations that do not give the ratio, or that are swapped."""
    involved, uninvolved = clinical.flc_involved_mg_per_l, clinical.flc_uninvolved_mg_per_l
    if involved is None or uninvolved is None:
        return
    ratio = involved / uninvolved
    if ratio < QUANTITIES["flc_ratio"].low:
        raise ClinicalInputError(
            f"flc_involved_mg_per_l: {involved:g} is far below flc_uninvolved_mg_per_l, {uninvolved:g}; "
            "swap them if they were exchanged"
        )
    if clinical.flc_ratio is not None and not (
        agree(ratio, clinical.flc_ratio) or abs(ratio - clinical.flc_ratio) <= 0.05
    ):
        raise ClinicalInputError(
            f"flc_ratio: found {clinical.flc_ratio:g}, but {involved:g} over {uninvolved:g} mg/L "
            f"is {ratio:.4g}; leave out what is wrong"
        )


def _check_bone(clinical: ClinicalInput) -> None:
    """Refuse radiographs with lytic lesions beside a CT without any, which sees more."""
    if clinical.lytic_lesions_ct == 0 and (clinical.bone_scale or 0) >= 2:
        raise ClinicalInputError(
            f"bone_scale: {clinical.bone_scale} says lytic lesions, but lytic_lesions_ct is 0; "
            "correct one, or leave out the CT if it did not cover the lesions"
        )
