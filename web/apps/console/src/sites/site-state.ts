import type { StaffSchemas } from '@dianming/api/staff'

export type Site = StaffSchemas['SiteOut']
export type SiteDetail = StaffSchemas['SiteDetailOut']
export type Version = StaffSchemas['VersionDetailOut']
export type FilingStatus = StaffSchemas['VersionOut']['status']

export const STATUSES: readonly FilingStatus[] = ['filed', 'approved', 'rejected']
export const KINDS: readonly StaffSchemas['SiteIn']['kind'][] = ['main', 'branch', 'internship']

/** The versions to compare at first: the newest filing, and the version in force or else the one before. */
export function defaultComparison(site: Pick<SiteDetail, 'versions' | 'effective_version_id'>) {
  const newer = site.versions.find((each) => each.status === 'filed') ?? site.versions[0]
  const inForce = site.versions.find((each) => each.id === site.effective_version_id && each.id !== newer?.id)
  const older = inForce ?? site.versions.find((each) => newer && each.version < newer.version)
  return { older, newer }
}

/** By how many percent `after` differs from `before`, or undefined without a size to compare with. */
export function change(before: number, after: number): number | undefined {
  return before > 0 ? (after / before - 1) * 100 : undefined
}
