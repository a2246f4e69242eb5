/** Whether a permission was given before, as far as the browser tells: some do not know the name. */
export async function isGranted(name: 'camera' | 'geolocation'): Promise<boolean> {
  const permissions = (navigator as { permissions?: Permissions }).permissions
  if (!permissions) return false
  try {
    return (await permissions.query({ name: name as PermissionName })).state === 'granted'
  } catch {
    return false
  }
}
