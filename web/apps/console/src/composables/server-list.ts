import { content } from '@dianming/api'
import { keepPreviousData, useQuery } from '@tanstack/vue-query'
import { computed, type MaybeRefOrGetter, toValue } from 'vue'
import { type LocationQueryRaw, useRoute, useRouter } from 'vue-router'

/** A page of a list of the API. */
export interface ServerPage<T> {
  items: T[]
  next_cursor?: string | null
  /** How many rows the filters find, if asked for. `is_exact` is false if the API stopped counting there. */
  total?: { count: number; is_exact: boolean } | null
}

/** The parameters of a list as the address of the page has them. */
export type ListQuery = Record<string, string | undefined>

interface Answer<T> {
  data?: ServerPage<T>
  response: Response
}

/**
 * A list that the server filters, sorts and cuts into pages. Filters, order and position are in the address of the page: so
 * the browser's back button works, and a colleague can be sent a link.
 */
export function useServerList<T>(options: {
  /** Names the list among the cached answers. */
  key: MaybeRefOrGetter<readonly unknown[]>
  /** The names of the parameters that belong to this list. `sort` always does. */
  parameters: readonly string[]
  /** The order that the API gives unasked, as it would be asked for. */
  defaultSort?: string
  read(query: ListQuery, cursor: string | undefined, signal: AbortSignal): Promise<Answer<T>>
  enabled?: () => boolean
}) {
  const route = useRoute()
  const router = useRouter()

  const query = computed<ListQuery>(() =>
    Object.fromEntries(['sort', ...options.parameters].map((name) => [name, text(route.query[name])])),
  )
  const cursor = computed(() => text(route.query['cursor']))
  const page = computed(() => Math.max(1, Number(text(route.query['page']) ?? 1) || 1))

  const answer = useQuery({
    queryKey: computed(() => [...toValue(options.key), query.value, cursor.value]),
    queryFn: ({ signal }) => content(options.read(query.value, cursor.value, signal)),
    placeholderData: keepPreviousData,
    enabled: () => options.enabled?.() ?? true,
  })

  /** Change parameters; an empty value removes one. The list starts at its first page again. */
  async function change(changes: ListQuery): Promise<void> {
    const asked: LocationQueryRaw = { ...route.query, ...changes, cursor: undefined, page: undefined }
    const kept = Object.fromEntries(Object.entries(asked).filter(([, value]) => value))
    await router.replace({ query: kept })
  }

  async function next(): Promise<void> {
    const following = answer.data.value?.next_cursor
    if (following)
      await router.push({ query: { ...route.query, cursor: following, page: String(page.value + 1) } })
  }

  async function first(): Promise<void> {
    await router.push({ query: { ...route.query, cursor: undefined, page: undefined } })
  }

  /** One page back: as the browser does it, unless the list was opened by a link to a later page. */
  async function back(): Promise<void> {
    const last: unknown = window.history.state?.back
    if (typeof last === 'string' && last.split('?')[0] === route.path) router.back()
    else await first()
  }

  return {
    ...answer,
    items: computed(() => answer.data.value?.items ?? []),
    query,
    sort: computed(() => query.value['sort'] ?? options.defaultSort),
    total: computed(() => answer.data.value?.total ?? undefined),
    page,
    hasNext: computed(() => Boolean(answer.data.value?.next_cursor)),
    change,
    next,
    first,
    back,
  }
}

export type ServerList<T> = ReturnType<typeof useServerList<T>>

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
